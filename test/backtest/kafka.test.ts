import { randomUUID } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Report } from '../../cli/backtest/report.ts'
import type { Explanation } from '../../cli/explain/explanation.ts'
import { type RunningCli, runCli, startCli } from '../cli/process.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { kafkaForTests, startKafka, type TestKafka } from '../support/kafka.ts'

describe.skipIf(!kafkaForTests().available)('backtest and explain on a real Kafka', () => {
  const prefix = `backtest-${randomUUID().slice(0, 8)}.`
  let kafka: TestKafka
  let worker: RunningCli | undefined
  let dir = ''

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-backtest-kafka-'))
    writeFileSync(join(dir, 'events.ndjson'), `${generatedBets(3_000, 17).join('\n')}\n`)
    for (const [name, text] of Object.entries(RULE_FILES)) writeFileSync(join(dir, name), text)
    kafka = await startKafka()
  })
  afterAll(async () => {
    worker?.child.kill('SIGKILL')
    await worker?.ended
    await kafka?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const onKafka = (...args: string[]): string[] => [...args, '--brokers', kafka.brokers, '--prefix', prefix]
  async function run(args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' })
    return stdout
  }
  const report = async (...args: string[]): Promise<Report> =>
    JSON.parse(await run(['rules', 'backtest', ...args, '--json', '--top', '10000'])) as Report

  test('events on the topic give what the file gives; what is published is compared; a player is explained', async () => {
    await run(onKafka('topics', 'create', '--partitions', '4'))
    await run(onKafka('ingest', '--events', join(dir, 'events.ndjson')))
    const state = ['--state', join(dir, 'state'), '--rules', dir, '--application', `${prefix}season`]
    worker = startCli(onKafka('worker', ...state))
    await run(onKafka('lag', '--application', `${prefix}season`, '--wait', '--timeout', '60s'))

    const ofFile = await report(dir, '--events', join(dir, 'events.ndjson'))
    const ofTopic = await report(...onKafka(dir), '--against', 'current')
    const figures = ({ rules, thresholds, segments, pools, top_players: players }: Report) => ({
      rules,
      thresholds,
      segments,
      pools,
      players,
    })
    expect(figures(ofTopic)).toEqual(figures(ofFile))
    expect(ofTopic.against?.before).toEqual(ofTopic.totals)
    expect(ofTopic.totals.rewards).toBeGreaterThan(5)

    const ofOne = await report(...onKafka('r_rounds'))
    expect(ofOne.rules).toEqual(ofFile.rules.filter(({ rule_id: id }) => id === 'r_rounds'))

    const [best] = ofFile.top_players
    const text = await run(onKafka('explain', '--user', best?.user_id ?? '', '--json'))
    const { rules } = JSON.parse(text) as Explanation
    expect(rules.reduce((sum, { points }) => sum + points, 0)).toBe(best?.points)
    expect(rules.reduce((sum, { rewards }) => sum + rewards.length, 0)).toBe(best?.rewards)
    expect(rules.find(({ rule_id: id }) => id === 'r_rounds')?.progress?.next?.threshold).toBe(500)
  }, 170_000)
})
