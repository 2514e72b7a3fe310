import type { RewardStatus } from '../../core/model/reward-status.ts'
import type { OrderedKv } from '../../core/ports/ordered-kv.ts'
import type { LogRecord } from '../../core/ports/log.ts'
import { decodeSeenChunk, decodeSeenTime, hourOfChunkKey } from '../../state/seen-ids.ts'
import { PartitionStore } from '../../state/partition-store.ts'
import type { Audit } from './audit.ts'
import { Violation } from './violation.ts'
import { entriesOf } from './disk.ts'
import type { MemoryLedger } from './ledger.ts'
import type { WalletPartner } from './wallet.ts'

/** Where rewards that are to be paid stand once everything is processed; held: a person would have to decide. */
const ENDED: ReadonlySet<RewardStatus> = new Set<RewardStatus>(['succeeded', 'failed', 'held'])

/** What must hold once everything is processed. Throws a Violation that names the first difference. */
export function checkOutcome(audit: Audit, ledger: MemoryLedger, partner: WalletPartner): void {
  const expected = audit.expected()
  compareMaps('score', audit.scores, expected.scores)
  compareMaps('reward', audit.told.rewards, expected.rewards)
  compareMaps('what became of', audit.told.fates, expected.fates)
  compareMaps('what is told of', audit.told.players(), expected.told)
  compareMaps('the change that counts in the ledger for', ledger.known(), audit.told.counts())
  for (const reason of ['schema', 'future', 'late'] as const) {
    equal(`dead letters for ${reason}`, audit.dlq[reason], expected.dlq[reason])
  }
  // Every event that passes has exactly one score of the rule that looks at everything.
  const unique = [...audit.scores.keys()].filter((key) => key.endsWith('|r_everything')).length
  const letters = audit.dlq.schema + audit.dlq.future + audit.dlq.late
  equal('unique events', unique, expected.unique)
  equal('events in', unique + expected.duplicates + letters, expected.events)
  for (const [id, fate] of expected.fates) checkRow(id, fate, { audit, ledger, partner })
  const costs = new Map<string, number>()
  for (const { task } of ledger.rows.values()) {
    costs.set(task.poolId ?? '', (costs.get(task.poolId ?? '') ?? 0) + Number(task.cost))
  }
  compareMaps('cents of pool', costs, expected.costs)
}

/** Where a reward stands in the ledger, by what became of it in the stream. */
function checkRow(
  id: string,
  fate: string,
  { audit, ledger, partner }: { audit: Audit; ledger: MemoryLedger; partner: WalletPartner },
): void {
  const row = ledger.rows.get(id)
  if (row === undefined) throw new Violation(`the reward ${id} is not in the ledger`)
  const { status, failure, freeze, task } = row
  const isToBePaid = /created|released/.test(fate)
  // Stopped at its call: it waits for its player there, or has waited too long.
  const isStopped = ledger.stopped.has(id) && (freeze?.by === 'sink' || status === 'expired')
  const isStill = fate.includes('expired') ? status === 'expired' : status === 'frozen' && freeze?.by === 'stream'
  const fits = isToBePaid ? ENDED.has(status) || isStopped : isStill
  if (!fits) throw new Violation(`the reward ${id} is still ${status} in the ledger; in the stream it was ${fate}`)
  const letters = failure?.startsWith('budget_closed') === true ? audit.dlq.budget_closed : audit.dlq.payout
  if (status === 'failed' && !letters.has(id)) throw new Violation(`${id} failed without a dead letter`)
  if (status === 'succeeded' && task.userId === partner.refusedUser) {
    throw new Violation(`${id} is booked as paid, but the wallet refuses its player`)
  }
  const mustHold = audit.told.rewards.get(id)?.endsWith(' sharp_rise') === true
  if (mustHold && isToBePaid && status !== 'held' && failure?.startsWith('budget_closed') !== true) {
    throw new Violation(`${id} was to be looked at, and is ${status}`)
  }
}

/** A store that stands where its partition's changelog ends equals the fold of it, and its index that of its chunks. */
export async function checkFold(name: string, kv: OrderedKv, changelog: readonly LogRecord[]): Promise<void> {
  const folded = new Map<string, string>()
  for (const { key, value } of changelog) {
    const at = key?.toString('latin1') ?? ''
    if (value === null) folded.delete(at)
    else folded.set(at, value.toString('latin1'))
  }
  const stored = new Map<string, string>()
  const index = new Map<string, number>()
  const remembered = new Map<string, number>()
  for (const [key, value] of await entriesOf(kv)) {
    const at = key.toString('latin1')
    if (at === '!stamp') continue
    if (at.startsWith('s')) {
      index.set(at.slice(1), decodeSeenTime(value))
      continue
    }
    stored.set(at, value.toString('latin1'))
    if (!at.startsWith('x')) continue
    for (const { hash, ts } of decodeSeenChunk(hourOfChunkKey(key), value)) {
      remembered.set(hash, Math.max(ts, remembered.get(hash) ?? ts))
    }
  }
  compareMaps(`${name}: key`, stored, folded)
  checkPlayers(name, stored)
  compareMaps(`${name}: remembered id`, index, remembered)
}

/** Frozen tasks and timers are there exactly where a player's record names them: nothing waits twice, or for nobody. */
function checkPlayers(name: string, stored: ReadonlyMap<string, string>): void {
  const [named, waiting] = [new Map<string, string>(), new Map<string, string>()]
  for (const [key, value] of stored) {
    if (key.startsWith('f')) waiting.set(`task ${key.slice(1)}`, 'there')
    // An instant, then the user.
    if (key.startsWith('t')) waiting.set(`timer of ${key.slice(key.indexOf('u_'))}`, 'there')
    if (!key.startsWith('p')) continue
    const { frozen, timer } = JSON.parse(value) as { frozen: { id: string }[]; timer: number | null }
    for (const { id } of frozen) named.set(`task ${id}`, 'there')
    if (timer !== null) named.set(`timer of ${key.slice(1)}`, 'there')
  }
  compareMaps(`${name}: frozen`, waiting, named)
}

/** Whether the store stands at `committed`; a store that is ahead of the log is a violation. */
export async function isLevel(
  name: string,
  { kv, partition }: { readonly kv: OrderedKv; readonly partition: number },
  committed: number | undefined,
): Promise<boolean> {
  const stamp = await new PartitionStore(kv).stamp()
  if (stamp === undefined || stamp === 'unreadable') return false
  // Put there as a fault, and not opened since.
  if (stamp.application === 'another' || stamp.partition !== partition) return false
  if (stamp.inputOffset > (committed ?? 0)) {
    throw new Violation(`${name} stands at ${stamp.inputOffset}, ahead of the commit at ${committed ?? 'none'}`)
  }
  return stamp.inputOffset === committed
}

function compareMaps<V>(what: string, actual: ReadonlyMap<string, V>, expected: ReadonlyMap<string, V>): void {
  for (const [key, value] of expected) {
    const found = actual.get(key)
    if (found === undefined) throw new Violation(`${what} ${show(key)} is missing; expected ${show(value)}`)
    if (found !== value) throw new Violation(`${what} ${show(key)} is ${show(found)}, expected ${show(value)}`)
  }
  for (const [key, value] of actual) {
    if (!expected.has(key)) throw new Violation(`${what} ${show(key)} was not expected: ${show(value)}`)
  }
}

function equal(what: string, actual: number, expected: number): void {
  if (actual !== expected) throw new Violation(`${what}: ${actual}, expected ${expected}`)
}

function show(value: unknown): string {
  return JSON.stringify(value)
}
