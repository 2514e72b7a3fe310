/**
 * Reads all sides and compares them. The order matters: the group's position first, then the ledger's snapshot, then the end
 * of the topic. So what lies below the position is in the snapshot, and what the snapshot has from the topic is read.
 * Memory: a page of each side, one run of the spool, and `DIFFERENCES` kept by whoever takes them; a million rewards with
 * their records and payments stay below 1 GB.
 */
import type { Statement } from '../../connectors/files/statement.ts'
import type { BudgetEntry, LedgerReader, LedgerSnapshot } from '../../core/ports/reconciliation.ts'
import type { Log } from '../../core/ports/log.ts'
import { committedRecords, missingTopic, partitionsOf } from '../../pipeline/replay/records.ts'
import { type BudgetTally, createBudgetTally } from '../../pipeline/reconcile/budgets.ts'
import { compareGroup } from '../../pipeline/reconcile/compare.ts'
import type { Difference, NoteKind } from '../../pipeline/reconcile/difference.ts'
import type { Terms, TopicRange } from '../../pipeline/reconcile/sides.ts'
import { readTopicEntry } from '../../pipeline/reconcile/topic-entry.ts'
import { createTotals, type Total, type Totals } from '../../pipeline/reconcile/totals.ts'
import { createSortedSpool, type SortedSpool } from './sorted-spool.ts'
import { groupsOf, ledgerLine, orphanLine, statementLine, topicLine } from './spooled-sides.ts'

export interface ReconciliationOptions {
  readonly reader: LedgerReader
  /** undefined: the topic is not compared. */
  readonly log: { readonly log: Log; readonly topic: string; readonly group: string } | undefined
  /** Opened one after the other; none: no statement is compared. */
  readonly statements: readonly (() => Promise<Statement>)[]
  readonly terms: Pick<Terms, 'partners' | 'period' | 'stuckAfterMs'>
  /** An empty folder for what memory does not hold. */
  readonly dir: string
  /** Takes differences as they are found; is awaited. */
  readonly found: (differences: readonly Difference[]) => Promise<void>
  readonly progress: (phase: Phase, done: number, share?: number) => void
  readonly signal: AbortSignal
}

export type Phase = 'topic' | 'ledger' | 'statement' | 'comparison'

export interface Reconciled {
  /** The instant of the ledger's snapshot, ms. */
  readonly at: number
  readonly differences: number
  readonly notes: ReadonlyMap<NoteKind, number>
  readonly totals: readonly Total[]
  readonly budgets: readonly BudgetEntry[]
  /** Records of the topic that are no rewards and not about players. */
  readonly unreadable: number
  /** Lines of the statement that name no request. */
  readonly withoutId: number
}

/** Throws what reading throws, and the signal's reason where it aborts. */
export async function reconcile(options: ReconciliationOptions): Promise<Reconciled> {
  const { statements, found, progress, signal } = options
  const spool = createSortedSpool(options.dir)
  const totals = createTotals(options.terms.period)
  const tally = createBudgetTally()
  const sides = await readSides(options, { spool, totals, tally })
  const withoutId = await readStatements(options, { spool, totals })
  const terms: Terms = { ...options.terms, at: sides.at, topic: sides.range, statement: statements.length > 0 }
  const notes = new Map<NoteKind, number>()
  let [differences, lines] = [0, 0]
  const take = async (more: readonly Difference[]): Promise<void> => {
    differences += more.length
    if (more.length > 0) await found(more)
  }
  for await (const groups of groupsOf(spool)) {
    signal.throwIfAborted()
    for (const group of groups) {
      const compared = compareGroup(group, terms)
      tally.correct(compared.corrections)
      for (const note of compared.notes) notes.set(note, (notes.get(note) ?? 0) + 1)
      await take(compared.differences)
    }
    lines += groups.length
    progress('comparison', lines)
  }
  await take(tally.differences(sides.budgets))
  return { ...sides, differences, notes, totals: totals.rows(), withoutId }
}

interface Into {
  readonly spool: SortedSpool
  readonly totals: Totals
}

interface Sides {
  readonly at: number
  readonly range: TopicRange | undefined
  readonly budgets: readonly BudgetEntry[]
  readonly unreadable: number
}

async function readSides(options: ReconciliationOptions, into: Into & { readonly tally: BudgetTally }): Promise<Sides> {
  const { log, reader } = options
  const committed = log === undefined ? [] : await positionsOf(log)
  return reader.snapshot(async (snapshot) => {
    const bounds = log === undefined ? [] : await log.log.bounds(partitionsOf(log.topic, committed.length))
    const ends = bounds.map(({ end }) => end)
    const unreadable = await readTopic(options, ends, into)
    const booked = await readLedger(options, snapshot, { ...into, ends })
    const range = log && {
      topic: log.topic,
      earliest: bounds.map(({ earliest }) => earliest),
      end: ends,
      booked: committed.map((position, partition) => Math.max(position, booked.get(partition) ?? 0)),
    }
    return { at: snapshot.at, range, budgets: await snapshot.budgets(), unreadable }
  })
}

/** Where the sinks go on, by partition; 0 where their group is not known, and then the ledger's own rows say how far they came. */
async function positionsOf({
  log,
  topic,
  group,
}: NonNullable<ReconciliationOptions['log']>): Promise<readonly number[]> {
  const info = await log.topic(topic)
  if (info === undefined) throw missingTopic(topic)
  return (await log.committed(group, partitionsOf(topic, info.partitions))).map((position) => position ?? 0)
}

async function readTopic(
  { log, progress, signal }: ReconciliationOptions,
  ends: readonly number[],
  { spool, totals }: Into,
): Promise<number> {
  let [done, unreadable] = [0, 0]
  for (const [partition, end] of ends.entries()) {
    if (log === undefined) break
    for await (const records of committedRecords(log.log, { topic: log.topic, partition }, { end })) {
      signal.throwIfAborted()
      for (const record of records) {
        const read = readTopicEntry(record)
        if (read.kind === 'unreadable') unreadable += 1
        if (read.kind !== 'reward') continue
        totals.topic(read.entry)
        await spool.add(topicLine(read.entry))
      }
      done += records.length
      progress('topic', done)
    }
  }
  return unreadable
}

/** Answers how far the rows say that each partition was booked: sinks book a partition in its order. */
async function readLedger(
  { log, progress, signal }: ReconciliationOptions,
  snapshot: LedgerSnapshot,
  { spool, totals, tally, ends }: Into & { readonly tally: BudgetTally; readonly ends: readonly number[] },
): Promise<ReadonlyMap<number, number>> {
  const booked = new Map<number, number>()
  let done = 0
  for await (const entries of snapshot.entries()) {
    signal.throwIfAborted()
    for (const entry of entries) {
      totals.ledger(entry)
      tally.add(entry)
      const { source } = entry
      if (source !== null && source.topic === log?.topic && source.offset < (ends[source.partition] ?? 0)) {
        booked.set(source.partition, Math.max(booked.get(source.partition) ?? 0, source.offset + 1))
      }
      await spool.add(ledgerLine(entry))
    }
    done += entries.length
    progress('ledger', done, snapshot.rows === 0 ? 1 : done / snapshot.rows)
  }
  for await (const orphans of snapshot.orphans()) {
    signal.throwIfAborted()
    for (const orphan of orphans) await spool.add(orphanLine(orphan))
  }
  return booked
}

async function readStatements(
  { statements, progress, signal }: ReconciliationOptions,
  { spool, totals }: Into,
): Promise<number> {
  let [done, withoutId] = [0, 0]
  for (const open of statements) {
    const statement = await open()
    for await (const lines of statement) {
      signal.throwIfAborted()
      for (const line of lines) {
        totals.statement(line)
        await spool.add(statementLine(line, done))
        done += 1
      }
      progress('statement', done)
    }
    signal.throwIfAborted()
    withoutId += statement.withoutId
  }
  return withoutId
}
