/**
 * The sides of a reconciliation as lines that sort by request id: `KEY \t SIDE \t ORDER \t JSON`. The codec of those lines,
 * and so the only casts here.
 */
import { requestIdOf } from '../../core/ids.ts'
import type { LedgerEntry, OrphanEntry, StatementLine } from '../../core/ports/reconciliation.ts'
import type { Group, TopicEntry } from '../../pipeline/reconcile/sides.ts'
import type { SortedSpool } from './sorted-spool.ts'

/** Digits of a number below 2^53. */
const DIGITS = 16

export function topicLine(entry: TopicEntry): string {
  const { value, cost } = entry
  const body = { ...entry, value: String(value), cost: cost === null ? null : String(cost) }
  const order = `${String(entry.partition).padStart(6, '0')}${padded(entry.offset)}`
  return lineOf(requestIdOf(entry.taskId), 't', order, body)
}

export function ledgerLine(entry: LedgerEntry): string {
  const { ledgerId, value, cost } = entry
  const body = { ...entry, ledgerId: String(ledgerId), value: String(value), cost: String(cost) }
  return lineOf(requestIdOf(entry.taskId), 'l', '', body)
}

export function orphanLine(entry: OrphanEntry): string {
  const { ledgerId, cost, taskId } = entry
  const body = { ...entry, ledgerId: String(ledgerId), cost: cost === null ? null : String(cost) }
  // One of which nobody knows the task stands for itself.
  return lineOf(taskId === null ? `${NAMELESS}${ledgerId}` : requestIdOf(taskId), 'o', '', body)
}

export function statementLine(line: StatementLine, order: number): string {
  return lineOf(line.requestId, 's', padded(order), { ...line, amount: String(line.amount) })
}

/** Begins the key of what has no request id; sorts after all that has. */
const NAMELESS = '\u{10FFFF}'

/** What all sides say, by request id, one after the other. Memory: one group. */
export async function* groupsOf(spool: SortedSpool): AsyncGenerator<readonly Group[]> {
  let open: MutableGroup | undefined
  let openKey: string | undefined
  for await (const lines of spool.sorted()) {
    const ended: Group[] = []
    for (const line of lines) {
      const [key = '', side = '', , json = ''] = line.split('\t')
      if (open === undefined || key !== openKey) {
        if (open !== undefined) ended.push(open)
        open = { requestId: requestIdIn(key), topic: [], ledger: undefined, orphan: undefined, statement: [] }
        openKey = key
      }
      put(open, side, json)
    }
    if (ended.length > 0) yield ended
  }
  if (open !== undefined) yield [open]
}

interface MutableGroup {
  requestId: string
  topic: TopicEntry[]
  ledger: LedgerEntry | undefined
  orphan: OrphanEntry | undefined
  statement: StatementLine[]
}

function put(group: MutableGroup, side: string, json: string): void {
  const body = JSON.parse(json) as Record<string, string>
  const cents = (name: string): bigint => BigInt(body[name] ?? '0')
  if (side === 't') {
    const cost = body['cost'] === null ? null : cents('cost')
    group.topic.push({ ...body, value: cents('value'), cost } as unknown as TopicEntry)
  } else if (side === 'l') {
    const numbers = { ledgerId: cents('ledgerId'), value: cents('value'), cost: cents('cost') }
    group.ledger = { ...body, ...numbers } as unknown as LedgerEntry
  } else if (side === 'o') {
    const cost = body['cost'] === null ? null : cents('cost')
    group.orphan = { ...body, ledgerId: cents('ledgerId'), cost } as unknown as OrphanEntry
  } else {
    group.statement.push({ ...body, amount: cents('amount') } as unknown as StatementLine)
  }
}

function lineOf(key: string, side: string, order: string, body: object): string {
  return `${escaped(key)}\t${side}\t${order}\t${JSON.stringify(body)}`
}

/** JSON has no tab and no end of line in it; a request id of somebody else may. */
function escaped(key: string): string {
  return key.replaceAll(/[\\\t\n\r]/g, (character) => `\\${character.charCodeAt(0)};`)
}

function requestIdIn(key: string): string {
  if (key.startsWith(NAMELESS)) return ''
  return key.replaceAll(/\\(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
}

function padded(number: number): string {
  return String(number).padStart(DIGITS, '0')
}
