import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { runCli, type RunningCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'
import { registryForTests, startRegistry, type TestRegistry } from '../support/registry.ts'

const available = kafkaForTests().available && registryForTests().available

interface Shown {
  readonly value: Record<string, unknown>
  readonly schema_id?: number
}

describe.skipIf(!available)('events in Avro on a real Kafka, by the schemas of a real registry', () => {
  const prefix = `avro-${randomUUID().slice(0, 8)}.`
  let kafka: TestKafka
  let registry: TestRegistry
  let worker: RunningCli | undefined
  let dir = ''

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'onceward-avro-'))
    ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  })
  afterAll(async () => {
    worker?.child.kill('SIGKILL')
    await worker?.ended
    await Promise.all([kafka?.stop(), registry?.stop()])
    await rm(dir, { recursive: true, force: true })
  })

  /** Runs a command to its end; answers what it printed. */
  async function run(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(args)
    if (code !== 0) throw new Error(`onceward ${args.join(' ')} ended with ${code}: ${stderr}`)
    return stdout
  }
  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]
  const read = (...args: string[]): string[] => [...onKafka(...args), '--registry', registry.url]
  const shown = (text: string): Shown[] =>
    text === ''
      ? []
      : text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as Shown)

  test('half of them in JSON, half in Avro: scored alike, shown alike, and the same in a replay', {
    timeout: 240_000,
  }, async () => {
    const lines = generatedBets(2_000, 5)
    const half = lines.length / 2
    await writeFile(join(dir, 'json.ndjson'), lines.slice(0, half).join('\n'))
    await writeFile(join(dir, 'avro.ndjson'), lines.slice(half).join('\n'))
    await writeFile(join(dir, 'all.ndjson'), lines.join('\n'))
    const rules = join(dir, 'rules')
    await writeRules(rules)
    await run(...onKafka('topics', 'create', '--partitions', '2'))
    expect((await runCli(read('ingest', '--events', join(dir, 'avro.ndjson'), '--encode', 'avro'))).stderr).toContain(
      'register it first',
    )
    await run('schemas', 'register', '--registry', registry.url, '--prefix', prefix, '--yes')
    await run(...onKafka('ingest', '--events', join(dir, 'json.ndjson')))
    await run(...read('ingest', '--events', join(dir, 'avro.ndjson'), '--encode', 'avro'))
    const application = `${prefix}season`
    worker = startCli(read('worker', '--application', application, '--rules', rules, '--state', join(dir, 'state')))
    await run(...onKafka('lag', '--application', application, '--wait', '--timeout', '100s'))
    worker.child.kill('SIGTERM')
    expect((await worker.ended).code).toBe(0)

    await run(
      'run',
      '--events',
      join(dir, 'all.ndjson'),
      '--rules',
      rules,
      '--out',
      join(dir, 'out'),
      '--partitions',
      '2',
    )
    const scores = shown(await run(...onKafka('tail', 'scores', '--to-end'))).map(({ value }) => value)
    const expected = (await readFile(join(dir, 'out', 'scores.ndjson'), 'utf8')).trimEnd().split('\n')
    const points = ({ scoring_key: key, points: won }: Record<string, unknown>): string =>
      `${String(key)} ${String(won)}`
    expect(scores.map(points).toSorted()).toEqual(
      expected.map((line) => points(JSON.parse(line) as Record<string, unknown>)).toSorted(),
    )
    expect(shown(await run(...onKafka('tail', 'dlq', '--to-end')))).toEqual([])
    const raw = shown(await run(...read('tail', 'events.raw', '--to-end')))
    expect(raw.filter(({ schema_id }) => schema_id !== undefined)).toHaveLength(half)
    const byId = (values: readonly Record<string, unknown>[]) =>
      new Map(values.map((value) => [value['event_id'], value]))
    expect(byId(raw.map(({ value }) => value))).toEqual(
      byId(lines.map((line) => JSON.parse(line) as Record<string, unknown>)),
    )

    const replay = read(
      'replay',
      '--application',
      `${prefix}again`,
      '--from',
      'beginning',
      '--state',
      join(dir, 'again'),
    )
    await run(...replay, '--fail-on-difference')
  })

  async function writeRules(folder: string): Promise<void> {
    await mkdir(folder)
    for (const [name, text] of Object.entries(RULE_FILES)) await writeFile(join(folder, name), text)
  }
})
