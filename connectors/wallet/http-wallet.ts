import { Agent, request } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { CreditOutcome, Wallet } from '../../core/ports/wallet.ts'
import { outcomeOf } from './answer.ts'
import { creditBody } from './body.ts'
import { signatureOf } from './signature.ts'

export interface HttpWalletOptions {
  /** Where to POST; with no path, or `/`, to `/wallet/credit` of that host. */
  readonly url: string
  /** Shared with the wallet; signs every body. */
  readonly secret: string
  readonly clock: Clock
  /** For the whole call, answer included; default 10,000. */
  readonly timeoutMs?: number
  /** Connections kept open, and so calls at once; default 16. More wait in order. */
  readonly connections?: number
}

const ANSWER_BYTES_MAX = 64 * 1024

/** Throws ONCEWARD_E_SETTING_INVALID for a URL that is not http(s) or an empty secret. */
export function httpWallet(options: HttpWalletOptions): Wallet {
  const url = walletUrl(options.url)
  const { clock, secret } = options
  if (secret === '') throw new OncewardError('ONCEWARD_E_SETTING_INVALID', 'the secret of the wallet is empty')
  const timeoutMs = options.timeoutMs ?? 10_000
  const agent = new Agent({
    connections: options.connections ?? 16,
    pipelining: 1,
    keepAliveTimeout: 30_000,
    // The clock below bounds the call as a whole.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: timeoutMs },
  })
  return {
    async credit(order, signal) {
      const body = creditBody(order)
      const headers = {
        'content-type': 'application/json',
        'x-signature': signatureOf(secret, body),
        'x-request-id': order.requestId,
        // Unix seconds, as the usual webhook signature schemes have it.
        'x-timestamp': String(Math.floor(clock.now() / 1_000)),
      }
      return withinTime({ clock, timeoutMs, signal }, async (abort) => {
        const answer = await request(url, { method: 'POST', headers, body, dispatcher: agent, signal: abort })
        return outcomeOf(answer.statusCode, await beginning(answer.body))
      })
    },
    close: () => agent.destroy(),
  }
}

function walletUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new OncewardError(
      'ONCEWARD_E_SETTING_INVALID',
      `"${text}" is not the URL of a wallet; write one such as https://wallet.example/wallet/credit`,
    )
  }
  if (url.pathname === '/') url.pathname = '/wallet/credit'
  return url
}

interface TimeBound {
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
}

/** Turns everything that can go wrong on the way into an outcome. */
async function withinTime(
  bound: TimeBound,
  call: (abort: AbortSignal) => Promise<CreditOutcome>,
): Promise<CreditOutcome> {
  const abort = new AbortController()
  const over = new AbortController()
  const stop = (): void => abort.abort(new Error('the call was abandoned because the sink stops'))
  if (bound.signal?.aborted === true) stop()
  bound.signal?.addEventListener('abort', stop, { once: true })
  const expire = async (): Promise<void> => {
    await bound.clock.sleep(bound.timeoutMs, over.signal)
    if (!over.signal.aborted) abort.abort(new Error(`no answer within ${bound.timeoutMs} ms`))
  }
  const timer = expire()
  try {
    return await call(abort.signal)
  } catch (error) {
    return { kind: 'unavailable', detail: `no answer: ${reasonOf(error)}` }
  } finally {
    over.abort()
    bound.signal?.removeEventListener('abort', stop)
    await timer
  }
}

/** Where every address of a host refuses, Node's message is empty and the reasons are inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

/** Reads at most ANSWER_BYTES_MAX, whatever the other side sends. */
async function beginning(body: AsyncIterable<Buffer>): Promise<string> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of body) {
    parts.push(part)
    size += part.length
    if (size >= ANSWER_BYTES_MAX) break
  }
  return Buffer.concat(parts).subarray(0, ANSWER_BYTES_MAX).toString()
}
