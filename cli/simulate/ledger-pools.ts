import { assert } from '../../core/assert.ts'
import type { Cents } from '../../core/money.ts'
import type { BudgetRow, LedgerTask, PoolFacts, PoolTerms } from '../../core/ports/ledger.ts'

/** The budget of one pool's period. */
export class PoolRow implements PoolFacts {
  readonly poolId: string
  readonly period: string
  terms: PoolTerms | null = null
  spent: Cents = 0n
  reserved: Cents = 0n
  overrun: Cents = 0n

  constructor(poolId: string, period: string) {
    this.poolId = poolId
    this.period = period
  }

  /** Of two terms, those that hold from a later event time on count. */
  agree(terms: PoolTerms | null): void {
    if (terms !== null && (this.terms === null || terms.since >= this.terms.since)) this.terms = terms
  }

  /** The last line of defence, as the database has it: a pool gives no more than it has. */
  reserve(cost: Cents): void {
    const taken = this.spent + this.reserved + cost
    const bounded = this.terms === null || cost === 0n || taken <= this.terms.budget + this.overrun
    assert(bounded, `pool ${this.poolId} gives ${taken} of ${this.terms?.budget} cents`)
    this.reserved += cost
  }

  giveBack(cost: Cents): void {
    this.reserved -= cost
  }

  /** A payment is a fact: what the budget does not have any more is an overrun. */
  spend(cost: Cents, reserved: boolean): void {
    if (reserved) this.reserved -= cost
    this.spent += cost
    const { terms } = this
    if (reserved || terms === null) return
    const above = this.spent + this.reserved - terms.budget - this.overrun
    if (above > 0n) this.overrun += above < cost ? above : cost
  }
}

export class MemoryPools {
  readonly #rows = new Map<string, PoolRow>()

  declare(task: LedgerTask): void {
    this.of(task)?.agree(task.terms)
  }

  /** Its row, which appears with the first who asks; undefined where the task has no pool. */
  of({ poolId, poolPeriod }: LedgerTask): PoolRow | undefined {
    if (poolId === null) return undefined
    const key = JSON.stringify([poolId, poolPeriod])
    let row = this.#rows.get(key)
    if (row === undefined) {
      row = new PoolRow(poolId, poolPeriod)
      this.#rows.set(key, row)
    }
    return row
  }

  all(): readonly PoolRow[] {
    return [...this.#rows.values()]
  }

  rows(): readonly BudgetRow[] {
    return this.all()
      .map(({ poolId, period, terms, spent, reserved, overrun }) => ({
        poolId,
        period,
        budget: terms?.budget ?? null,
        softCap: terms?.softCap ?? null,
        spent,
        reserved,
        overrun,
      }))
      .sort((a, b) => (`${a.poolId} ${a.period}` < `${b.poolId} ${b.period}` ? -1 : 1))
  }
}
