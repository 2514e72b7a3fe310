import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'

const PARTITIONS = 3
/** The longest that a worker takes, and longer than this test may last. */
const SESSION = '300s'
const PATIENCE_MS = 90_000

describe.skipIf(!kafkaForTests().available)('a killed worker on a real Kafka', () => {
  const prefix = `killed-${randomUUID().slice(0, 8)}.`
  const application = `${prefix}season`
  const running: RunningCli[] = []
  let kafka: TestKafka
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-killed-'))
    mkdirSync(join(dir, 'rules'))
    for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(dir, 'rules', name), text)
    writeFileSync(join(dir, 'events.ndjson'), `${generatedBets(300, 5).join('\n')}\n`)
    kafka = await startKafka()
  }, 120_000)
  afterAll(async () => {
    for (const { child } of running) child.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]

  async function run(args: readonly string[]): Promise<void> {
    const { code, stderr } = await runCli(args)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
  }

  function worker(): RunningCli {
    const flags = ['--application', application, '--rules', join(dir, 'rules'), '--state', join(dir, 'state')]
    const cli = startCli(onKafka('worker', ...flags, '--session-timeout', SESSION, '--log-level', 'info'))
    running.push(cli)
    return cli
  }

  const recovered = ({ stderr }: { stderr: string }): boolean =>
    stderr.split('partition recovered: ').length > PARTITIONS

  test('has its partitions again as soon as it is back, long before its session would have ended', async () => {
    await run(onKafka('topics', 'create', '--partitions', String(PARTITIONS)))
    const first = worker()
    await first.until(recovered, PATIENCE_MS)
    first.child.kill('SIGKILL')
    await first.ended
    const second = worker()
    await second.until(recovered, PATIENCE_MS)
    expect(second.stderr()).toContain('gave up the place of a former life in the group')
    await run(onKafka('ingest', '--events', join(dir, 'events.ndjson')))
    await run(onKafka('lag', '--application', application, '--wait', '--timeout', '60s'))

    // One that left in good order left nothing behind.
    second.child.kill('SIGTERM')
    expect(await second.ended).toMatchObject({ code: 0 })
    const third = worker()
    await third.until(recovered, PATIENCE_MS)
    expect(third.stderr()).not.toContain('gave up the place of a former life in the group')
    expect(third.stderr()).not.toContain('"level":"error"')

    // Nor does anyone take the place of a worker that lives.
    const { code, stderr } = await runCli(
      onKafka('worker', '--application', application, '--rules', join(dir, 'rules'), '--state', join(dir, 'state')),
    )
    expect({ code, said: /ONCEWARD_E_STATE_LOCKED/.test(stderr) }).toEqual({ code: 1, said: true })
    expect(third.stderr()).not.toContain('the group went on without this member')
    third.child.kill('SIGTERM')
    expect(await third.ended).toMatchObject({ code: 0 })
  }, 280_000)
})
