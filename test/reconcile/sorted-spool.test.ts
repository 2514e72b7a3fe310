import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { periodOf } from '../../cli/reconcile/period.ts'
import { createSortedSpool } from '../../cli/reconcile/sorted-spool.ts'

const dir = mkdtempSync(join(tmpdir(), 'onceward-spool-'))
afterAll(() => rmSync(dir, { recursive: true }))

test('gives every line back in order, whatever fits into memory', async () => {
  const text = fc.string({ unit: 'grapheme', maxLength: 20 }).map((line) => line.replaceAll(/[\n\r]/g, ''))
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { maxLength: 200 }),
      fc.integer({ min: 1, max: 2_000 }),
      async (lines, characters) => {
        const spool = createSortedSpool(mkdtempSync(join(dir, 'run-')), characters)
        for (const line of lines) await spool.add(line)
        const sorted: string[] = []
        for await (const some of spool.sorted()) sorted.push(...some)
        expect(sorted).toEqual([...lines].sort())
      },
    ),
    { numRuns: 60 },
  )
})

test('runs go to the disk only where memory does not do', async () => {
  const place = mkdtempSync(join(dir, 'few-'))
  const spool = createSortedSpool(place, 10)
  await spool.add('b')
  expect(readdirSync(place)).toEqual([])
  await spool.add('a'.repeat(20))
  expect(readdirSync(place)).toHaveLength(1)
})

const utc = (text: string): number => Date.parse(`${text}T00:00:00Z`)

test.each([
  ['2025', '2025-01-01', '2026-01-01'],
  ['2025-12', '2025-12-01', '2026-01-01'],
  ['2024-02', '2024-02-01', '2024-03-01'],
  ['2024-02-29', '2024-02-29', '2024-03-01'],
])('the period %s', (period, from, until) => {
  expect(periodOf({ period, from: undefined, until: undefined })).toEqual({ from: utc(from), until: utc(until) })
})

test.each(['2025-13', '2025-02-29', 'november', '2025-1', '2025-11-03T00'])('%s is no period', (period) => {
  expect(() => periodOf({ period, from: undefined, until: undefined })).toThrow(/is no year, month or day/)
})

test('both ends of a period are said once, and in order', () => {
  expect(() => periodOf({ period: '2025', from: '2025-01-01', until: undefined })).toThrow(/leave out --from/)
  expect(() => periodOf({ period: undefined, from: '2025-02-01', until: '2025-02-01' })).toThrow(/not before/)
  expect(periodOf({ period: undefined, from: undefined, until: undefined })).toBeUndefined()
})
