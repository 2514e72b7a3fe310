import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { syntheticPlayers } from '../../pipeline/synthetic-players.ts'
import { reference } from '../support/reference.ts'
import { PEER_RULES } from '../support/shared-rules.ts'
import { normalizerOf } from './support.ts'

const normalize = normalizerOf()
const START = Date.UTC(2025, 10, 3, 18)

function play(seed: string, events: number): string[] {
  const next = syntheticPlayers({ seed, players: 200 })
  return Array.from({ length: events }, (_, i) => JSON.stringify(next(START + i * 2)))
}

describe('synthetic players', () => {
  it('send the same for the same seed, and never an id of another', () => {
    expect(play('a', 2_000)).toEqual(play('a', 2_000))
    const idsOf = (lines: string[]): string[] => lines.map((line) => String(JSON.parse(line).event_id))
    const ids = new Set(idsOf(play('a', 2_000)))
    expect(idsOf(play('b', 2_000)).filter((id) => ids.has(id) && id !== 'null')).toEqual([])
  })

  it('send many kinds of valid events, some twice, some a little late, few broken', () => {
    const lines = play('many', 20_000)
    const results = lines.map((line) => normalize(line))
    const names = new Set(results.map((result) => (result.kind === 'event' ? result.event.eventName : '')))
    expect(names.size).toBeGreaterThan(12)
    const counts = reference(lines, { rules: [] })
    expect(counts.dlq).toEqual({ schema: results.filter(({ kind }) => kind === 'rejected').length, future: 0, late: 0 })
    expect(counts.dlq.schema).toBeGreaterThan(0)
    expect(counts.dlq.schema).toBeLessThan(40)
    expect(counts.duplicates).toBeGreaterThan(100)
    const times = results.flatMap((result) => (result.kind === 'event' ? [result.event.ts] : []))
    expect(times.filter((ts, i) => ts < (times[i - 1] ?? 0)).length).toBeGreaterThan(100)
  })

  it('earn rewards under the rule of the articles within twenty seconds of 500 events a second', () => {
    const { rewards } = reference(play('demo', 10_000), { rules: PEER_RULES })
    expect(rewards.filter((reward) => reward.includes('r_points_winmult_v2')).length).toBeGreaterThan(10)
    expect(rewards.length).toBeGreaterThan(100)
  })
})

it('the example events are valid but for one, and earn rewards under the rule of the articles', () => {
  const path = new URL('../../examples/events/november.ndjson', import.meta.url)
  const lines = readFileSync(path, 'utf8').trim().split('\n')
  expect(lines.filter((line) => normalize(line).kind === 'rejected')).toHaveLength(1)
  expect(reference(lines, { rules: PEER_RULES })).toMatchObject({
    events: 300,
    duplicates: 3,
    dlq: { schema: 1, late: 0 },
  })
  expect(reference(lines, { rules: PEER_RULES }).rewards).toEqual(
    expect.arrayContaining(['player_1|r_points_winmult_v2|100', 'player_1|r_points_winmult_v2|300']),
  )
})
