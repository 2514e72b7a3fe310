import { join } from 'node:path'
import { ndjsonWriter, type NdjsonWriter, writeTextFile } from '../../connectors/files/ndjson-writer.ts'
import type { RewardTaskBase } from '../../core/model/reward.ts'
import { issuable } from '../../pipeline/replay/outcomes.ts'
import type { Difference, Summary } from '../../pipeline/replay/differences.ts'
import { IdSet } from '../../pipeline/replay/id-set.ts'
import type { Terminal } from '../command.ts'
import { differenceLine, IssueList, SHOWN_MAX, summaryJson, summaryTable } from './report.ts'

export interface FindingsOptions {
  readonly terminal: Pick<Terminal, 'print'>
  readonly json: boolean
  /** Folder for rewards.ndjson, points.ndjson and summary.json. */
  readonly out: string | undefined
}

/** By the type of what they take. */
interface Files {
  readonly reward: NdjsonWriter
  readonly points: NdjsonWriter
}

/** Takes the differences as they are found, and shows and writes them; keeps what a person is shown and the ids to issue. */
export class Findings {
  readonly #options: FindingsOptions
  readonly #files: Files | undefined
  readonly #lines: string[] = []
  #found = 0
  /** Ids of the missing tasks. */
  readonly missing = new IdSet()
  readonly toIssue = new IssueList()

  private constructor(options: FindingsOptions, files: Files | undefined) {
    this.#options = options
    this.#files = files
  }

  static async open(options: FindingsOptions): Promise<Findings> {
    const { out } = options
    if (out === undefined) return new Findings(options, undefined)
    const reward = await ndjsonWriter(join(out, 'rewards.ndjson'))
    const points = await ndjsonWriter(join(out, 'points.ndjson'))
    return new Findings(options, { reward, points })
  }

  async add(difference: Difference): Promise<void> {
    this.#found++
    if (difference.type === 'reward' && difference.kind === 'missing' && difference.replayed !== null) {
      // One whose time was up is missing, too, but nobody issues it any more.
      if (issuable(difference.replayed) !== undefined) this.#missingTask(difference.replayed)
    }
    await this.#files?.[difference.type].write([difference])
    if (this.#options.json) await this.#options.terminal.print(`${JSON.stringify(difference)}\n`)
    else if (this.#lines.length < SHOWN_MAX) this.#lines.push(differenceLine(difference))
  }

  #missingTask(task: RewardTaskBase): void {
    this.missing.add(task.reward_task_id)
    this.toIssue.add(task)
  }

  /** Prints what was found; the files get their names. */
  async finish(summary: Summary): Promise<void> {
    const { json, out, terminal } = this.#options
    await this.#files?.reward.close()
    await this.#files?.points.close()
    if (out !== undefined) {
      await writeTextFile(join(out, 'summary.json'), `${JSON.stringify(summaryJson(summary), null, 2)}\n`)
    }
    if (json) return terminal.print(`${JSON.stringify(summaryJson(summary))}\n`)
    const more = this.#found - this.#lines.length
    const rest = more === 0 ? [] : [`and ${more.toLocaleString('en-US')} more; --out DIR writes all of them`]
    const list = [...this.#lines, ...rest].map((line) => `${line}\n`).join('')
    return terminal.print(`${summaryTable(summary)}${list === '' ? '\nno differences\n' : `\n${list}`}`)
  }

  /** The partial files are removed. */
  async abort(): Promise<void> {
    await this.#files?.reward.abort()
    await this.#files?.points.abort()
  }
}
