/** What was paid, on disk: a wallet that forgot with its process would pay twice what is sent again after a restart. */
import { closeSync, createReadStream, existsSync, openSync, truncateSync, writeSync } from 'node:fs'
import { messageOf, OncewardError } from '../../core/errors.ts'
import { formatMoney, parseMoney } from '../../core/money.ts'
import type { Payout } from './payouts.ts'

export interface StateFile {
  readonly before: readonly Payout[]
  /** Handed to the operating system before it returns: it outlives the process, not the machine. */
  readonly append: (payout: Payout) => void
  close(): void
}

/** One JSON array a line, appended. Throws ONCEWARD_E_FILE_UNREADABLE where a line is none of ours. */
export async function openStateFile(path: string): Promise<StateFile> {
  try {
    const before = existsSync(path) ? await read(path) : []
    const file = openSync(path, 'a')
    return {
      before,
      append: (payout) => void writeSync(file, `${lineOf(payout)}\n`),
      close: () => closeSync(file),
    }
  } catch (error) {
    if (error instanceof OncewardError) throw error
    throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', `${path} cannot be used: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

async function read(path: string): Promise<Payout[]> {
  const payouts: Payout[] = []
  let rest: Buffer = Buffer.alloc(0)
  let bytes = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let from = 0
    for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10, from)) {
      payouts.push(payoutOf(rest.toString('utf8', from, end), path))
      from = end + 1
    }
    bytes += from
    rest = rest.subarray(from)
  }
  // The line that a killed process did not finish was never answered: nobody was told of that payout.
  if (rest.length > 0) truncateSync(path, bytes)
  return payouts
}

function lineOf({ requestId, digest, userId, type, currency, amount, paidAt }: Payout): string {
  return JSON.stringify([requestId, digest, userId, type, currency ?? null, formatMoney(amount), paidAt])
}

function payoutOf(line: string, path: string): Payout {
  try {
    const [requestId, digest, userId, type, currency, amount, paidAt] = JSON.parse(line) as unknown[]
    if (
      typeof requestId === 'string' &&
      typeof digest === 'number' &&
      typeof userId === 'string' &&
      typeof type === 'string' &&
      (typeof currency === 'string' || currency === null) &&
      typeof amount === 'string' &&
      typeof paidAt === 'number'
    ) {
      return { requestId, digest, userId, type, currency: currency ?? undefined, amount: parseMoney(amount), paidAt }
    }
  } catch {
    // Said below.
  }
  throw new OncewardError(
    'ONCEWARD_E_FILE_UNREADABLE',
    `${path} has a line that is no payout: ${line.slice(0, 80)}; give a file that onceward partner wrote, or none`,
  )
}
