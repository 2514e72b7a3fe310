/** Books what became of claimed tasks. All settlements of a call stand or fall together. */
import type { Settled, Settlement } from '../../core/ports/ledger.ts'
import type { Database, Transaction } from './database.ts'
import * as statements from './pay-statements.ts'
import { differingOf, paidOf, taskIdOf } from './rows.ts'

type Of<K extends Settlement['kind']> = Extract<Settlement, { kind: K }>
type Differing = Settled['differing'][number]

/** No verdict is lost for its words, which may be a partner's: Postgres holds every text but one with U+0000. */
function withoutNul(settlement: Settlement): Settlement {
  const clean = (text: string): string => text.replaceAll('\0', '\uFFFD')
  if (settlement.kind === 'released') return settlement
  if (settlement.kind !== 'succeeded') return { ...settlement, reason: clean(settlement.reason) }
  const { payoutId, payoutStatus } = settlement
  return { ...settlement, payoutId: clean(payoutId), payoutStatus: clean(payoutStatus) }
}

/** Payments go first: they outrank what else is said of a task. */
export async function settle(database: Database, settlements: readonly Settlement[]): Promise<Settled> {
  if (settlements.length === 0) return { changed: new Set(), differing: [] }
  const storable = settlements.map(withoutNul)
  const of = <K extends Settlement['kind']>(kind: K): Of<K>[] => storable.filter((s): s is Of<K> => s.kind === kind)
  const [retry, failed, released] = [of('retry'), of('failed'), of('released')]
  return database.write(async (run) => {
    const changed = new Set<string>()
    const differing: Differing[] = []
    const givesBack = failed.filter(({ inDoubt }) => !inDoubt)
    const paidIds = of('succeeded').map(({ taskId }) => taskId)
    if (paidIds.length > 0 && givesBack.length > 0) {
      await run(statements.poolsOfStatement([...paidIds, ...givesBack.map(({ taskId }) => taskId)]))
    }
    for (const paid of waves(of('succeeded'))) differing.push(...(await succeed(run, paid, changed)))
    for (const statement of [
      ...(retry.length > 0 ? [statements.retryStatement(retry)] : []),
      ...(failed.length > 0 ? [statements.failedStatement(failed)] : []),
      ...(released.length > 0 ? [statements.releasedStatement(released)] : []),
    ]) {
      for (const row of await run(statement)) changed.add(taskIdOf(row))
    }
    return { changed, differing }
  })
}

async function succeed(
  run: Transaction,
  paid: readonly Of<'succeeded'>[],
  changed: Set<string>,
): Promise<readonly Differing[]> {
  const moved = (await run(statements.succeededStatement(paid))).map(paidOf)
  const overtaken = moved.filter(({ queued }) => !queued).map(({ ledgerId }) => ledgerId)
  if (overtaken.length > 0) await run(statements.overtakenStatement(overtaken))
  const now = new Set(moved.map(({ taskId }) => taskId))
  for (const taskId of now) changed.add(taskId)
  const repeated = paid.filter(({ taskId }) => !now.has(taskId))
  if (repeated.length === 0) return []
  const differing = (await run(statements.differingStatement(repeated))).map(differingOf)
  if (differing.length > 0) await run(statements.alarmStatement(differing))
  return differing
}

/** A task twice in one call is settled twice, one after the other: the second answer may be another one. */
function waves(paid: readonly Of<'succeeded'>[]): Of<'succeeded'>[][] {
  const all: Of<'succeeded'>[][] = []
  const seen = new Map<string, number>()
  for (const one of paid) {
    const wave = seen.get(one.taskId) ?? 0
    seen.set(one.taskId, wave + 1)
    const into = all[wave] ?? []
    into.push(one)
    all[wave] = into
  }
  return all
}
