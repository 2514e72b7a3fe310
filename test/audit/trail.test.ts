import { sql } from '@databases/pg'
import { connect } from '@databases/pg-migrations'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLedgerTrail } from '../../connectors/ledger/trail/trail.ts'
import type { LedgerTrail } from '../../core/ports/ledger-trail.ts'
import { book, entries, openWorkbench, type Workbench } from '../ledger/fixtures.ts'
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startTestPostgres()
}, 60_000)
afterAll(() => postgres?.stop())

async function opened(): Promise<{ bench: Workbench; trail: LedgerTrail; readonly close: () => Promise<void> }> {
  const bench = await openWorkbench(postgres)
  const trail = openLedgerTrail({ url: bench.url })
  return { bench, trail, close: () => trail.close() }
}

const inserted = (actor: string) => sql`INSERT INTO audit_log (actor, action, subject) VALUES (${actor}, 'a', 's')`

describe('the trail of the ledger', () => {
  test.each(['commits', 'rolls back'])(
    'waits for a transaction that took its id before another one, which %s',
    async (end) => {
      const { bench, trail, close } = await opened()
      const slow = connect({ connectionString: bench.url, bigIntMode: 'bigint' })
      let finish: (how: 'commits' | 'rolls back') => void = () => undefined
      const ending = new Promise<string>((resolve) => {
        finish = resolve
      })
      let begun: () => void = () => undefined
      const hasBegun = new Promise<void>((resolve) => {
        begun = resolve
      })
      const transaction = slow
        .tx(async (connection) => {
          await connection.query(inserted('slow'))
          begun()
          if ((await ending) === 'rolls back') throw new Error('rolled back')
        })
        .catch(() => undefined)
      await hasBegun
      await bench.query(inserted('quick'))
      for (let look = 0; look < 3; look += 1) expect(await trail.rows('audit_log', 0, 10)).toEqual([])
      finish(end === 'commits' ? 'commits' : 'rolls back')
      await transaction
      const rows = await trail.rows('audit_log', 0, 10)
      expect(rows.map(({ body }) => body['actor'])).toEqual(end === 'commits' ? ['slow', 'quick'] : ['quick'])
      await slow.dispose()
      await close()
    },
  )

  test('misses and doubles nothing while many write at once', async () => {
    const { bench, trail, close } = await opened()
    const pool = connect({ connectionString: bench.url, bigIntMode: 'bigint', poolSize: 6 })
    const WRITERS = 6
    let writing = WRITERS
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      for (let n = 0; n < 40; n += 1) {
        await pool
          .tx(async (connection) => {
            for (let row = 0; row <= (n + writer) % 3; row += 1) await connection.query(inserted(`w${writer}`))
            if ((n + writer) % 7 === 0) throw new Error('rolled back')
          })
          .catch(() => undefined)
      }
      writing -= 1
    })
    const ids: number[] = []
    const isComplete = async (): Promise<boolean> => {
      if (writing > 0) return false
      const [row] = await bench.query(sql`SELECT count(*)::int AS count FROM audit_log`)
      return ids.length >= Number(row?.['count'])
    }
    while (!(await isComplete())) {
      ids.push(...(await trail.rows('audit_log', ids.at(-1) ?? 0, 50)).map(({ id }) => id))
    }
    await Promise.all(writers)
    const all = await bench.query(sql`SELECT id::int AS id FROM audit_log ORDER BY id`)
    expect(ids).toEqual(all.map((row) => row['id']))
    await pool.dispose()
    await close()
  })

  test('has every move of every reward', async () => {
    const { bench, trail, close } = await opened()
    await book(bench.ledger, entries(3))
    const rows = await trail.rows('reward_history', 0, 100)
    expect(rows.map(({ body }) => [body['move'], body['from_status'], body['to_status']])).toEqual([
      ...[1, 2, 3].map(() => [1, null, 'pending']),
      ...[1, 2, 3].map(() => [2, 'pending', 'reserved']),
    ])
    expect(rows.every(({ body }) => typeof body['reward_task_id'] === 'string')).toBe(true)
    expect(await trail.rows('reward_history', rows.at(-1)?.id ?? 0, 100)).toEqual([])
    await close()
  })

  test('refuses a database that ends before what was collected', async () => {
    const { trail, close } = await opened()
    await expect(trail.rows('audit_log', 7, 10)).rejects.toMatchObject({ code: 'ONCEWARD_E_STATE_INPUT_RESET' })
    await close()
  })
})
