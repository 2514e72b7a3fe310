/** What a wallet hands out at the end of the day: one line for each payout. */
import { formatMoney } from '../../core/money.ts'
import { type Payout, payoutIdOf } from './payouts.ts'

export type StatementFormat = 'csv' | 'ndjson'

const COLUMNS = ['payout_id', 'request_id', 'user_id', 'type', 'amount', 'currency', 'status', 'paid_at'] as const

/** Lines are handed out in pieces of about this many, so that a million of them is never one text. */
const LINES_IN_PIECE = 500

/** Pieces of the statement, in the order of payment. CSV has a line of column names first, and quotes as RFC 4180 has it. */
export function* statement(payouts: Iterable<Payout>, format: StatementFormat): Generator<string> {
  let lines: string[] = format === 'csv' ? [COLUMNS.join(',')] : []
  for (const payout of payouts) {
    const fields = fieldsOf(payout)
    lines.push(format === 'csv' ? COLUMNS.map((name) => csvField(fields[name])).join(',') : JSON.stringify(fields))
    if (lines.length < LINES_IN_PIECE) continue
    yield `${lines.join('\n')}\n`
    lines = []
  }
  if (lines.length > 0) yield `${lines.join('\n')}\n`
}

function fieldsOf(payout: Payout): Record<(typeof COLUMNS)[number], string | null> {
  return {
    payout_id: payoutIdOf(payout.requestId),
    request_id: payout.requestId,
    user_id: payout.userId,
    type: payout.type,
    amount: formatMoney(payout.amount),
    currency: payout.currency ?? null,
    status: 'succeeded',
    paid_at: new Date(payout.paidAt).toISOString(),
  }
}

function csvField(text: string | null): string {
  if (text === null) return ''
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
