import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { reference } from '../support/reference.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'

const PARTITIONS = 4
const LINES = generatedBets(6_000, 5)

describe.skipIf(!kafkaForTests().available)('standby copies on a real Kafka', () => {
  const prefix = `standby-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  const workers: RunningCli[] = []
  let kafka: TestKafka
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-standby-'))
    mkdirSync(join(dir, 'rules'))
    for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(dir, 'rules', name), text)
    writeFileSync(join(dir, 'first.ndjson'), `${LINES.slice(0, 3_000).join('\n')}\n`)
    writeFileSync(join(dir, 'second.ndjson'), `${LINES.slice(3_000).join('\n')}\n`)
    kafka = await startKafka()
  }, 120_000)
  afterAll(async () => {
    for (const { child } of workers) child.kill('SIGKILL')
    await Promise.all(workers.map(({ ended }) => ended))
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]

  async function run(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }

  function worker(name: string): RunningCli {
    const flags = ['--application', application, '--rules', join(dir, 'rules'), '--state', join(dir, name)]
    // Small batches, so that there is a midway.
    const pace = ['--batch-bytes', '8192', '--session-timeout', '6s', '--log-level', 'info', '--standby', '1']
    const cli = startCli(onKafka('worker', ...flags, ...pace))
    workers.push(cli)
    return cli
  }

  test('the owner is killed midway: who kept the copies goes on without a rebuild, and each total is right', async () => {
    await run(onKafka('topics', 'create', '--partitions', String(PARTITIONS)))
    const [one, two] = [worker('one'), worker('two')]
    const shared = (): boolean => decisions(one).size + decisions(two).size >= PARTITIONS && decisions(two).size > 0
    await one.until(shared, 60_000)
    await run(onKafka('ingest', '--events', join(dir, 'first.ndjson')))
    await run(onKafka('lag', '--application', application, '--wait', '--timeout', '120s'))
    // Who came first may have had all partitions for a moment: what counts is who has them now that both are here.
    const shares = (): number[] => [...decisions(two).keys()].filter((partition) => copies(one).has(partition))
    await one.until(() => shares().length >= PARTITIONS / 2, 60_000)
    const owned = shares()

    await run(onKafka('ingest', '--events', join(dir, 'second.ndjson')))
    two.child.kill('SIGKILL')
    await two.ended
    await run(onKafka('lag', '--application', application, '--wait', '--timeout', '120s'))

    for (const partition of owned) expect(decisions(one).get(partition)).toMatch(/^(ready|replay-tail)$/)
    const { rewards, scores } = reference(LINES, { rules: SHARED_RULES })
    const tasks = (await tail('reward.tasks')).map(
      ({ value: { user_id, origin } }) => `${user_id}|${origin.rule_id}|${origin.threshold}`,
    )
    expect(tasks.sort()).toEqual(rewards)
    expect((await tail('scores')).filter(({ value }) => value.points > 0)).toHaveLength(scores)
    one.child.kill('SIGTERM')
    expect(await one.ended).toMatchObject({ code: 0 })
  }, 240_000)

  interface Tailed {
    readonly value: { user_id: string; points: number; origin: { rule_id: string; threshold: number } }
  }

  async function tail(topic: string): Promise<Tailed[]> {
    const out = await run(onKafka('tail', topic, '--to-end'))
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Tailed)
  }
})

interface LogLine {
  readonly partition?: number
  readonly decision?: string
  readonly msg?: string
}

function linesOf(cli: RunningCli): LogLine[] {
  return cli
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)
}

/** The last decision for each partition that the worker was given. */
function decisions(cli: RunningCli): Map<number, string> {
  const found = new Map<number, string>()
  for (const { partition, decision } of linesOf(cli)) {
    if (partition !== undefined && decision !== undefined) found.set(partition, decision)
  }
  return found
}

/** The partitions of which it has had a copy that was level. */
function copies(cli: RunningCli): Set<number> {
  const found = new Set<number>()
  for (const { partition, msg } of linesOf(cli)) {
    if (partition !== undefined && msg === 'standby copy is level') found.add(partition)
  }
  return found
}
