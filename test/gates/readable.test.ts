import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sql } from '@databases/pg'
import { NO_POLICIES } from '../../core/model/policy.ts'
import { parseRecord } from '../../pipeline/payout/task.ts'
import { eventLine, TestEngine, testRule, testRules } from '../support/engine.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'
import { openWorkbench } from '../ledger/fixtures.ts'

const TS = Date.parse('2025-11-03T10:00:00Z')
const VIEW = { policyAt: (ts: number) => NO_POLICIES.at(ts), route: () => undefined }

/** What the stream writes of a player who says this, and what the sink reads of it. */
async function told(name: string, payload: object) {
  const engine = new TestEngine(testRules([testRule({ ruleId: 'r' })]))
  await engine.feed([{ value: eventLine({ id: 'e', user: 'u', name, ts: TS, payload }), ingestTs: TS }])
  return engine.output.rewards.map(({ value }, offset) => {
    const record = {
      topic: 't',
      partition: 0,
      offset,
      timestamp: TS,
      key: null,
      value: Buffer.from(JSON.stringify(value)),
    }
    return parseRecord(record, VIEW)
  })
}

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
}, 60_000)
afterAll(() => postgres.stop())

describe('whatever an event says of protection, the sink can read and keep what the stream makes of it', () => {
  test.each<[string, string, object]>([
    ['a level far above any', 'kyc_status_changed', { kyc_level: 2_000_000_000 }],
    ['a name of a restriction that is cut within a character', 'rg_event', { type: `${'x'.repeat(63)}😀` }],
    ['a name with NUL', 'rg_event', { type: 'self\0exclusion' }],
    ['a restriction of everything', 'rg_event', { type: 'all', action: 'set' }],
    ['an end in the year 10000', 'rg_event', { type: 'self_exclusion', until: '9999-12-31T23:59:59-05:00' }],
  ])('%s', async (_, name, payload) => {
    const [read, ...more] = await told(name, payload)
    expect(more).toEqual([])
    expect(read).toMatchObject({ ok: true, kind: 'player' })
    if (read?.ok !== true || read.kind !== 'player') throw new Error('no change of a player')
    const bench = await openWorkbench(postgres)
    await bench.ledger.players([read.change])
    expect(await bench.query(sql`SELECT user_id FROM player_state`)).toEqual([{ user_id: 'u' }])
    await bench.close()
  })

  test('any text as a kind, any whole number as a level', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 80 }), fc.integer(), async (type, level) => {
        const all = [...(await told('rg_event', { type })), ...(await told('kyc_status_changed', { kyc_level: level }))]
        expect(all.filter(({ ok }) => !ok)).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})
