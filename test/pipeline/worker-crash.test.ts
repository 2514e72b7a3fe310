import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { unreachable } from '../../core/assert.ts'
import { hasCode, OncewardError } from '../../core/errors.ts'
import type { AppendEnd } from '../../core/ports/log.ts'
import { Disk } from '../support/disk.ts'
import { commitUnknown, killed, type LogFaults, unavailable } from '../support/faulty-log.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { expectFold, expectReference, Lab, type RunningWorker, strictly } from '../support/worker-harness.ts'

let lab: Lab | undefined
afterEach(async () => {
  await lab?.close()
  lab = undefined
})

/** Where in a batch something happens to the worker. */
const STOPS = [
  'nothing',
  'killed before the commit',
  'killed once the commit was applied',
  'killed after the write to the store',
  'the commit is refused',
  'the answer to the applied commit is lost',
  'the answer to a commit that never came is lost',
  'the answer to a commit left open is lost',
  'the write to the store fails',
] as const
type Stop = (typeof STOPS)[number]
const ENDS_WORKER = new Set<Stop>([
  'killed before the commit',
  'killed once the commit was applied',
  'killed after the write to the store',
])

/** What a worker that was stopped ends with. */
const CODES_OF_STOPS = ['ONCEWARD_E_LOG_CLOSED', 'ONCEWARD_E_STATE_UNUSABLE'] as const

/** The whole life of an application whose n-th commit meets the n-th stop; a worker that ended is started again. */
class Life {
  readonly lab: Lab
  readonly disk = new Disk()
  readonly decisions: string[] = []
  readonly warnings: string[] = []
  lives = 0
  #stops: Stop[]
  #failNextWrite = false
  #killAfterWrite = false
  #current: RunningWorker | undefined

  constructor(lab: Lab, stops: readonly Stop[]) {
    this.lab = lab
    this.#stops = [...stops]
    this.disk.beforeWrite = () => {
      if (this.#killAfterWrite) {
        this.#killAfterWrite = false
        // The write itself still lands: the store is killed only after it.
        queueMicrotask(() => this.#die())
      }
      if (!this.#failNextWrite) return
      this.#failNextWrite = false
      throw new OncewardError('ONCEWARD_E_STATE_UNUSABLE', 'no space left on device')
    }
  }

  async run(): Promise<void> {
    const bound = this.#stops.length + 1
    while (!(await this.lab.isCaughtUp())) {
      this.lives++
      if (this.lives > bound) throw new Error(`started ${this.lives} times, and still not done`)
      const worker = this.lab.start({ disk: this.disk, faults: this.#faults(), batchBytesMax: 4_000 })
      worker.watched = false
      this.#current = worker
      await this.lab.until(
        'it is done or dead',
        async () => worker.failure !== undefined || (await this.lab.isCaughtUp()),
      )
      if (worker.failure === undefined) await worker.stop()
      else await worker.kill()
      if (worker.failure !== undefined && !hasCode(worker.failure, ...CODES_OF_STOPS)) throw worker.failure
      this.decisions.push(...worker.decisions)
      this.warnings.push(...worker.warnings)
    }
  }

  #die(): OncewardError {
    this.#current?.log.kill()
    this.disk.crash()
    return killed()
  }

  #faults(): LogFaults {
    return { commit: (id, commit, apply) => this.#commit(this.#stops.shift() ?? 'nothing', { id, commit, apply }) }
  }

  async #commit(stop: Stop, call: { id: string; commit: Commit; apply: Apply }): Promise<readonly AppendEnd[]> {
    switch (stop) {
      case 'nothing':
        return call.apply()
      case 'killed before the commit':
        throw this.#die()
      case 'killed once the commit was applied':
        await call.apply()
        throw this.#die()
      case 'killed after the write to the store':
        this.#killAfterWrite = true
        return call.apply()
      case 'the write to the store fails':
        this.#failNextWrite = true
        return call.apply()
      case 'the commit is refused':
        throw unavailable()
      case 'the answer to the applied commit is lost':
        await call.apply()
        throw commitUnknown()
      case 'the answer to a commit that never came is lost':
        throw commitUnknown()
      case 'the answer to a commit left open is lost': {
        const open = await this.lab.log.stepped(call.id)
        await open.append(call.commit.records)
        if (call.commit.offsets !== undefined) await open.addOffsets(call.commit.offsets)
        throw commitUnknown()
      }
      default:
        return unreachable(stop)
    }
  }
}

type Commit = Parameters<NonNullable<LogFaults['commit']>>[1]
type Apply = Parameters<NonNullable<LogFaults['commit']>>[2]

async function live(stops: readonly Stop[], rules: Readonly<Record<string, string>>): Promise<Life> {
  const here = (lab = await Lab.open({ partitions: 2, rules }))
  await here.produce(generatedBets(240, 3))
  await here.tick(Date.parse('2025-11-04T12:00:00Z'))
  const life = new Life(here, stops)
  await life.run()
  await expectReference(here, SHARED_RULES)
  for (const partition of [0, 1]) await expectFold(here, life.disk, partition)
  await here.close()
  lab = undefined
  return life
}

describe('a stop at any step of a batch', () => {
  test.each(STOPS)('%s: nothing is lost or doubled, and no store is thrown away', async (stop) => {
    const life = await live(['nothing', 'nothing', 'nothing', stop], RULE_FILES)
    expect(life.lives).toBe(ENDS_WORKER.has(stop) ? 2 : 1)
    expect(life.decisions).not.toContain('rebuild')
    if (stop === 'nothing') expect(life.decisions).toEqual(['ready', 'ready'])
    else expect(life.decisions.length).toBeGreaterThan(2)
  })

  test.each([
    ['killed once the commit was applied', 'replay-tail'],
    ['the answer to the applied commit is lost', 'replay-tail'],
    ['the write to the store fails', 'replay-tail'],
    ['killed before the commit', 'ready'],
    ['killed after the write to the store', 'ready'],
    ['the commit is refused', 'ready'],
    ['the answer to a commit that never came is lost', 'ready'],
    ['the answer to a commit left open is lost', 'ready'],
  ] as const)('%s: the next decision is %s', async (stop, decision) => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    await here.produce(generatedBets(120, 3))
    const life = new Life(here, ['nothing', 'nothing', stop])
    await life.run()
    expect(life.decisions).toEqual(['ready', decision])
  })

  test('a partition that was killed between its very first commit and the first write is behind, not missing', async () => {
    const here = (lab = await Lab.open({ partitions: 1, rules: RULE_FILES }))
    await here.produce(generatedBets(120, 3))
    const life = new Life(here, ['killed once the commit was applied'])
    await life.run()
    expect(life.decisions).toEqual(['ready', 'replay-tail'])
    await expectReference(here, SHARED_RULES)
  })

  test('any stops, one after the other, in either lane: the result equals the reference, the store its changelog', async () => {
    const stops = fc.array(fc.constantFrom(...STOPS), { minLength: 1, maxLength: 12 })
    await fc.assert(
      fc.asyncProperty(stops, fc.boolean(), async (stops, strict) => {
        const life = await live(stops, strict ? strictly(RULE_FILES) : RULE_FILES)
        expect(life.decisions).not.toContain('rebuild')
      }),
      { numRuns: 20, endOnFailure: true },
    )
  })
})
