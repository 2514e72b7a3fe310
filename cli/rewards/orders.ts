/** What a CSV says is to be given to whom, with all that follows from the policy. */
import { CASH_TYPES } from '../../core/cost.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { manualTaskId } from '../../core/ids.ts'
import { NO_POLICY, type PolicyVersion } from '../../core/model/policy.ts'
import { NO_RATE, type Reward } from '../../core/model/reward.ts'
import { type Cents, parseMoney } from '../../core/money.ts'
import type { ManualReward } from '../../core/ports/back-office.ts'
import { termsOf } from '../../pipeline/payout/terms.ts'
import { periodOf } from '../../rules/calendar.ts'
import { type CsvRow, readCsv } from './csv.ts'

const REQUIRED = ['user_id', 'type', 'amount', 'currency', 'pool', 'reference'] as const
const OPTIONAL = ['reason', 'kyc_level', 'cost', 'wagering', 'geo'] as const
/** `reward.rarity`: an attribute of the reward. */
const ATTRIBUTE = /^reward\.([A-Za-z_][A-Za-z0-9_]{0,63})$/
/** What the task has of its own. */
const RESERVED = new Set(['type', 'amount', 'currency', 'cost', 'wagering'])
const TEXT_LENGTH_MAX = 512
const KYC_LEVEL_MAX = 9

export interface OrderSource {
  readonly path: string
  readonly text: string
  /** For lines that have none; undefined: each must have its own. */
  readonly reason: string | undefined
  /** Undefined: the terms that the ledger knows. */
  readonly policy: PolicyVersion | undefined
  /** The instant of issuing, ms. */
  readonly now: number
  /** Periods that the ledger has of a pool. */
  readonly periodsOf: (poolId: string) => Promise<readonly string[]>
}

/** Throws ONCEWARD_E_FILE_UNREADABLE with all that is wrong, each with its line: then nothing of the file is to be done. */
export async function readOrders(source: OrderSource): Promise<readonly ManualReward[]> {
  const { path } = source
  const reading = readCsv(source.text)
  if (!reading.ok) throw unreadable(`${path}:${reading.line}: ${reading.problem}`)
  const [head, ...rows] = reading.rows
  const columns = head === undefined ? [] : head.cells
  const wrong = head === undefined ? [`write a header: ${[...REQUIRED, 'reason'].join(',')}`] : headProblems(columns)
  if (wrong.length > 0) throw unreadable(wrong.map((problem) => `${path}:1: ${problem}`).join('\n'))
  const reader = new OrderReader(source, columns)
  for (const row of rows) await reader.add(row)
  if (reader.problems.length > 0) {
    throw unreadable(
      `nothing was issued, because ${path} has lines that cannot be read:\n${reader.problems.join('\n')}`,
    )
  }
  return reader.orders
}

function headProblems(columns: readonly string[]): string[] {
  const missing = REQUIRED.filter((name) => !columns.includes(name)).map((name) => `the column ${name} is missing`)
  const all = [...REQUIRED, ...OPTIONAL]
  const unknown = columns
    .filter((name) => !all.some((known) => known === name) && !(ATTRIBUTE.test(name) && !RESERVED.has(name.slice(7))))
    .map(
      (name) =>
        `"${name}" is no column; there are ${all.join(', ')}, and reward.<attribute> for what else the reward says`,
    )
  const twice = columns
    .filter((name, at) => columns.indexOf(name) !== at)
    .map((name) => `the column ${name} stands there twice`)
  return [...missing, ...unknown, ...twice]
}

class OrderReader {
  readonly orders: ManualReward[] = []
  readonly problems: string[] = []
  private readonly source: OrderSource
  private readonly columns: readonly string[]
  private readonly lines = new Map<string, { readonly line: number; readonly content: string }>()
  private readonly periods = new Map<string, Promise<string | undefined>>()

  constructor(source: OrderSource, columns: readonly string[]) {
    this.source = source
    this.columns = columns
  }

  async add({ line, cells }: CsvRow): Promise<void> {
    const say = (problem: string): void => void this.problems.push(`${this.source.path}:${line}: ${problem}`)
    const { columns } = this
    if (cells.length !== columns.length) {
      say(`it has ${cells.length} cells, and the header ${columns.length}; put cells with commas into quotes`)
      return
    }
    const cell = (name: string): string => cells[columns.indexOf(name)] ?? ''
    const before = this.problems.length
    for (const [at, text] of cells.entries()) {
      if (text.includes('\0')) say(`${columns[at]} holds a NUL character, which no database keeps`)
      if (text.length > TEXT_LENGTH_MAX) say(`${columns[at]} is longer than ${TEXT_LENGTH_MAX} characters`)
    }
    for (const name of ['user_id', 'type', 'reference']) if (cell(name) === '') say(`${name} is empty`)
    const reason = cell('reason') || this.source.reason
    if (reason === undefined) say('reason is empty; write one there, or --reason for all')
    const reward = this.reward(cell, say)
    const level = levelOf(cell('kyc_level'), say)
    if (this.problems.length > before || reason === undefined || reward === undefined) return
    const taskId = manualTaskId(cell('user_id'), cell('reference'))
    const content = JSON.stringify(cells)
    const twin = this.lines.get(taskId)
    if (twin !== undefined) {
      if (twin.content !== content)
        say(`line ${twin.line} has another reward for the same player and reference; a reference stands for one reward`)
      return
    }
    this.lines.set(taskId, { line, content })
    const order = await this.order({ taskId, reason, reward, level, cell, say })
    if (order !== undefined) this.orders.push(order)
  }

  private reward(cell: (name: string) => string, say: (problem: string) => void): Reward | undefined {
    const type = cell('type')
    const currency = cell('currency')
    const cash = CASH_TYPES.has(type)
    const amount = moneyOf('amount', cell('amount'), say)
    const cost = moneyOf('cost', cell('cost'), say)
    if (amount === 0n) say('amount is 0; leave it empty where the reward has none')
    if (cash && cell('amount') === '') say(`a reward of type ${type} needs an amount`)
    if (cash && !/^[A-Z]{3}$/.test(currency))
      say(`currency "${currency}" is none; write three capital letters, such as EUR`)
    if (!cash && currency !== '') say(`a reward of type ${type} is no money; leave currency empty`)
    const wagering = cell('wagering')
    if (wagering !== '' && !/^\d{1,4}(\.\d{1,2})?$/.test(wagering)) say(`wagering "${wagering}" is no number`)
    return {
      type,
      ...(amount === undefined ? {} : { amount: Number(cell('amount')) }),
      ...(cash ? { currency } : {}),
      ...(cost === undefined ? {} : { cost: Number(cell('cost')) }),
      ...(wagering === '' ? {} : { wagering: Number(wagering) }),
      ...this.attributes(cell),
    }
  }

  private attributes(cell: (name: string) => string): Record<string, string> {
    const named = this.columns.flatMap((column) => {
      const name = ATTRIBUTE.exec(column)?.[1]
      return name === undefined || cell(column) === '' ? [] : [[name, cell(column)] as const]
    })
    return Object.fromEntries(named)
  }

  private async order(of: {
    readonly taskId: string
    readonly reason: string
    readonly reward: Reward
    readonly level: number
    readonly cell: (name: string) => string
    readonly say: (problem: string) => void
  }): Promise<ManualReward | undefined> {
    const { taskId, reason, reward, level, cell, say } = of
    const { policy, now } = this.source
    const poolId = cell('pool') || null
    if (policy === undefined && reward.cost === undefined && !CASH_TYPES.has(reward.type)) {
      say(`what a reward of type ${reward.type} costs is not known; write the column cost, or give --policy`)
      return undefined
    }
    const question = { reward, poolId, guardrails: { kyc_min_level: level }, geo: cell('geo') || null, at: now }
    const version = policy ?? { policy: NO_POLICY, effectiveFrom: undefined }
    const terms = this.terms({ ...question, cost: null, kycRequired: null, holds: [] }, version, say)
    if (terms === undefined) return undefined
    const known = policy?.policy.pools.has(poolId ?? '') ?? false
    const poolPeriod = poolId === null || known ? terms.poolPeriod : await this.period(poolId)
    if (poolPeriod === undefined) {
      const where = policy === undefined ? 'the ledger does not have' : 'neither the policy nor the ledger has'
      const hint = policy === undefined ? ', or give --policy, which declares pools' : ''
      say(`${where} a budget of pool ${String(poolId)} for this time; check its name${hint}`)
      return undefined
    }
    return {
      taskId,
      userId: cell('user_id'),
      reference: cell('reference'),
      reason,
      reward,
      value: reward.amount === undefined ? 0n : parseMoney(reward.amount),
      cost: terms.cost,
      poolId,
      poolPeriod,
      terms: terms.terms,
      closed: terms.closed,
      kycRequired: terms.kycRequired,
      holds: terms.holds,
      approvals: terms.approvals,
      issuedAt: new Date(now).toISOString(),
    }
  }

  private terms(
    question: Parameters<typeof termsOf>[0],
    version: PolicyVersion,
    say: (problem: string) => void,
  ): ReturnType<typeof termsOf> | undefined {
    try {
      // Whoever pays its type is for the sink to say.
      const terms = termsOf(question, version, { partner: '', ordered: false })
      const unknown = terms.holds.find(({ by }) => by === NO_RATE)
      if (unknown === undefined) return terms
      say(`${unknown.detail}; publish the rate, or write the column cost`)
    } catch (error) {
      say(messageOf(error))
    }
    return undefined
  }

  /** The period of now, of a pool that the policy says nothing about: the only one of the ledger's that can be meant. */
  private period(poolId: string): Promise<string | undefined> {
    const known = this.periods.get(poolId) ?? this.findPeriod(poolId)
    this.periods.set(poolId, known)
    return known
  }

  private async findPeriod(poolId: string): Promise<string | undefined> {
    const there = await this.source.periodsOf(poolId)
    const { now } = this.source
    const possible = (['never', 'daily', 'weekly', 'monthly'] as const).map((reset) => periodOf(reset, 'UTC', now))
    const found = possible.filter((period) => there.includes(period))
    return found.length === 1 ? found[0] : undefined
  }
}

function moneyOf(name: string, text: string, say: (problem: string) => void): Cents | undefined {
  if (text === '') return undefined
  try {
    const cents = parseMoney(text)
    // A task carries numbers (SPEC S12), and a double must hold it.
    if (cents >= 0n && parseMoney(Number(text)) === cents) return cents
    say(`${name} "${text}" is below zero, or beyond what a task can carry`)
  } catch (error) {
    say(`${name}: ${messageOf(error)}`)
  }
  return undefined
}

function levelOf(text: string, say: (problem: string) => void): number {
  if (text === '') return 0
  if (/^\d$/.test(text)) return Number(text)
  say(`kyc_level "${text}" is no level; write 0 to ${KYC_LEVEL_MAX}`)
  return 0
}

function unreadable(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_FILE_UNREADABLE', message)
}
