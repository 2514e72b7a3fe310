/**
 * R1 and R2 with whatever can go wrong between people and the log: several people decide over the same letters at once,
 * answers to commits are lost, commits fail, processes are killed between any two calls.
 */
import * as fc from 'fast-check'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { AuditEntry, AuditLog } from '../../core/ports/audit.ts'
import type { LetterOutcome, ReviewOrder } from '../../core/ports/review.ts'
import { seededRandom } from '../../core/random.ts'
import { REPROCESSED_HEADER } from '../../core/topics.ts'
import { commitUnknown, FaultyLog, type LogFaults, unavailable } from '../support/faulty-log.ts'
import { bet, DROP, fixing, letterOf, REPROCESS, ReviewLab, TOPICS } from './office.ts'

const RUNS = Number(process.env['ONCEWARD_FUZZ'] ?? 120)

type Fault = 'none' | 'unavailable' | 'unknown-done' | 'unknown-not' | 'killed-before' | 'killed-after'

interface Person {
  readonly orders: readonly ('reprocess' | 'fix' | 'drop')[]
  readonly faults: readonly Fault[]
  readonly seed: number
  /** Dies at its n-th call of the log; 0: never. */
  readonly diesAt: number
  /** How many turns of the event loop each call takes. */
  readonly pauses: readonly number[]
}

const person: fc.Arbitrary<Person> = fc.record({
  orders: fc.array(fc.constantFrom('reprocess', 'fix', 'drop'), { minLength: 1, maxLength: 2 }),
  faults: fc.array(
    fc.constantFrom<Fault>(
      'none',
      'none',
      'unavailable',
      'unknown-done',
      'unknown-not',
      'killed-before',
      'killed-after',
    ),
    { maxLength: 4 },
  ),
  seed: fc.integer(),
  diesAt: fc.constantFrom(0, 0, 0, 5, 9, 13, 17, 25),
  pauses: fc.array(fc.constantFrom(0, 0, 1, 5, 40), { maxLength: 12 }),
})

/** Half of the letters are valid as they are, half once they are fixed. */
function letters(count: number) {
  return Array.from({ length: count }, (_, index) => {
    const stake = index % 2 === 0 ? 1 : '1'
    return letterOf(
      bet(`e${index}`, { payload: { bet: stake, win: 2, currency: 'EUR' }, user: { id: `u${index % 5}` } }),
    )
  })
}

const FIX = fixing(['payload.bet=1'])
const ORDERS: Readonly<Record<Person['orders'][number], ReviewOrder>> = { reprocess: REPROCESS, fix: FIX, drop: DROP }

/** What a person was told of each letter, as far as they lived to hear it. */
async function work(
  lab: ReviewLab,
  { orders, faults, seed, diesAt, pauses }: Person,
  name: string,
): Promise<LetterOutcome[]> {
  let commits = 0
  let calls = 0
  const step = async (): Promise<void> => {
    for (let turns = pauses[calls % pauses.length] ?? 0; turns > 0; turns--) await nextTurn()
    if (++calls === diesAt) log.kill()
  }
  const script: LogFaults = {
    opening: step,
    reading: step,
    commit: async (_id, _commit, apply) => {
      const fault = faults[commits++] ?? 'none'
      if (fault === 'unavailable') throw unavailable()
      if (fault === 'unknown-not') throw commitUnknown()
      if (fault === 'killed-before') log.kill()
      if (log.isKilled) throw unavailable()
      const ends = await apply()
      if (fault === 'unknown-done') throw commitUnknown()
      if (fault === 'killed-after') log.kill()
      return ends
    },
  }
  const log = new FaultyLog(lab.log, script)
  const told: LetterOutcome[] = []
  for (const order of orders) {
    const { desk } = lab.desk({ log, random: seededRandom(seed) })
    try {
      const ids: string[] = []
      for await (const { id } of desk.letters({ states: ['open'] })) ids.push(id)
      for await (const some of desk.carryOut({ ...ORDERS[order], actor: name }, ids)) told.push(...some)
    } catch {
      // Unavailable, or dead: what was told before stands.
    }
    if (log.isKilled) break
  }
  return told
}

test('each letter is decided once, and what is sent stands on the topic exactly where the decision does', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(person, { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 14 }),
      async (people, count) => {
        const lab = await ReviewLab.open({ partitions: 2 })
        try {
          await lab.post(letters(count))
          const told = await Promise.all(people.map((each, index) => work(lab, each, `p${index}`)))
          // Whoever comes last settles what the dead have left.
          told.push(await work(lab, { orders: ['fix', 'drop'], faults: [], seed: 1, diesAt: 0, pauses: [] }, 'last'))
          await requireOnce(lab, told)
        } finally {
          await lab.close()
        }
      },
    ),
    { numRuns: RUNS },
  )
}, 120_000)

async function requireOnce(lab: ReviewLab, told: readonly (readonly LetterOutcome[])[]): Promise<void> {
  const reviews = await lab.values(TOPICS.dlqReviews)
  const decided = new Map(reviews.map((review) => [String(review['letter']), review]))
  const all = (await lab.read(TOPICS.dlq)).map(({ partition, offset }) => `${partition}-${offset}`)
  // R1: one decision for each letter, and no letter without.
  expect(reviews.map((review) => String(review['letter'])).toSorted()).toEqual(all.toSorted())
  // R2
  const sent = (await lab.read(TOPICS.events)).map(({ headers }) => {
    const { history } = JSON.parse(String(headers?.[REPROCESSED_HEADER])) as {
      history: { letter: string; actor: string }[]
    }
    return `${history[0]?.letter} by ${history[0]?.actor}`
  })
  const toBeSent = reviews
    .filter(({ decision }) => decision === 'reprocessed' || decision === 'fixed')
    .map(({ letter, actor }) => `${String(letter)} by ${String(actor)}`)
  expect(sent.toSorted()).toEqual(toBeSent.toSorted())
  // Nobody was told that they did what another one did, and two were not told of the same letter that they did it.
  const done = told.flatMap((outcomes, index) =>
    outcomes.flatMap((outcome) => (outcome.kind === 'done' ? [{ id: outcome.id, to: outcome.to, index }] : [])),
  )
  expect(new Set(done.map(({ id }) => id)).size).toBe(done.length)
  for (const { id, to, index } of done) {
    const actor = index === told.length - 1 ? 'last' : `p${index}`
    expect(decided.get(id)).toMatchObject({ actor, decision: to })
  }
  for (const [index, outcome] of told.flatMap((outcomes, at) => outcomes.map((each) => [at, each] as const))) {
    if (outcome.kind !== 'decided') continue
    const { actor, at, state: decision } = outcome.decision
    expect(decided.get(outcome.id)).toMatchObject({ actor, at, decision })
    // Of what they did themselves they are told so, even where the answer was lost.
    expect(actor).not.toBe(index === told.length - 1 ? 'last' : `p${index}`)
  }
}

test('two who decide over many letters at once both come to an end, and share them', async () => {
  const lab = await ReviewLab.open({ partitions: 2 })
  try {
    await lab.post(Array.from({ length: 3_000 }, (_, index) => letterOf(bet(`e${index}`))))
    const people = [1, 2].map((seed) => ({ orders: ['reprocess'], faults: [], seed, diesAt: 0, pauses: [] }) as const)
    const told = await Promise.all(people.map((each, index) => work(lab, each, `p${index}`)))
    expect(told.map((outcomes) => outcomes.length)).toEqual([3_000, 3_000])
    expect(told.flat().filter(({ kind }) => kind === 'done')).toHaveLength(3_000)
    expect(told.flat().filter(({ kind }) => kind === 'decided')).toHaveLength(3_000)
    await requireOnce(lab, [...told, []])
  } finally {
    await lab.close()
  }
}, 60_000)

test('what was decided stands in the audit log, though the answer to its commit was lost', async () => {
  const lab = await ReviewLab.open({ partitions: 1 })
  const entries: AuditEntry[] = []
  const audit: AuditLog = {
    append: async (more) => void entries.push(...more),
    close: async () => undefined,
  }
  try {
    const ids = await lab.post(letters(2))
    let lost = 0
    const log = new FaultyLog(lab.log, {
      commit: async (_id, _commit, apply) => {
        const ends = await apply()
        if (lost++ === 0) throw commitUnknown()
        return ends
      },
    })
    const told = await lab.desk({ log, audit }).run(DROP, ids)
    expect(told.map(({ kind }) => kind)).toEqual(['done', 'done'])
    // Whoever does the same once more has decided nothing.
    await lab.desk({ log, audit }).run(DROP, ids)
    const decisions = entries.filter(({ kind }) => kind === 'decision')
    expect(decisions.map(({ body }) => body['letters'])).toEqual([ids])
  } finally {
    await lab.close()
  }
})
