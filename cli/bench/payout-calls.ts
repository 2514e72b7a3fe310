import { type ChildProcess, spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { requestIdOf } from '../../core/ids.ts'
import type { Wallet } from '../../core/ports/wallet.ts'

export interface CallsBenchOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly folder: string
  readonly calls: number
  /** At once. */
  readonly concurrency: number
  readonly onPhase: (phase: string) => void
  readonly onProgress: (done: number, share: number) => void
}

export interface CallsFigures {
  readonly calls: number
  readonly concurrency: number
  readonly seconds: number
  /** Calls that answered with a payout. */
  readonly paid: number
  /** Request ids that the partner has paid. */
  readonly payouts: number
}

const SECRET = 'bench'
const TIMEOUT_MS = 10_000

/** Calls `onceward partner`, in a process of its own, through the wallet client of the sink: signed, checked, one id each. */
export async function runCallsBench(options: CallsBenchOptions): Promise<CallsFigures> {
  const { clock, signal, folder, calls, concurrency, onPhase } = options
  onPhase('starting the partner')
  const secretFile = join(folder, 'secret')
  await writeFile(secretFile, SECRET)
  const partner = startPartner(secretFile)
  try {
    const url = await partner.url
    const spec = { name: 'bench', url, secrets: [SECRET], types: ['*'], concurrency, orderedByPlayer: false } as const
    const wallet = httpWallet({ spec: { ...spec, timeoutMs: TIMEOUT_MS, allowHosts: ['127.0.0.1'] }, clock })
    try {
      onPhase('calling')
      const startedMs = clock.monotonic()
      const paid = await callAll(wallet, options)
      const seconds = (clock.monotonic() - startedMs) / 1000
      const payouts = (await (await fetch(`${url}/payouts`, { signal })).text()).trim().split('\n').length
      return { calls, concurrency, seconds, paid, payouts }
    } finally {
      await wallet.close()
    }
  } finally {
    partner.kill()
  }
}

async function callAll(wallet: Wallet, { calls, concurrency, signal, onProgress }: CallsBenchOptions): Promise<number> {
  let [next, paid, done] = [0, 0, 0]
  const caller = async (): Promise<void> => {
    for (;;) {
      signal.throwIfAborted()
      const n = next
      next += 1
      if (n >= calls) return
      const outcome = await wallet.credit({
        requestId: requestIdOf(`rt_${n}`),
        userId: `u_${n % 1_000}`,
        reward: { type: 'bonus_cash', amount: 1, currency: 'EUR' },
        ruleId: 'r_bench',
        threshold: 100,
        guardrails: {},
      })
      if (outcome.kind === 'paid') paid += 1
      done += 1
      if (done % 100 === 0) onProgress(done, done / calls)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  return paid
}

function startPartner(secretFile: string): { readonly url: Promise<string>; kill(): void } {
  const [, script = ''] = process.argv
  // What the variables say is meant for the bench.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ONCEWARD_')))
  const args = [...process.execArgv, script, 'partner', '--port', '0', '--secret-file', secretFile]
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'], env })
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const url = new Promise<string>((resolve, reject) => {
    const fail = (): void => reject(new OncewardError('ONCEWARD_E_GAVE_UP', 'the partner of the bench did not start'))
    child.once('error', fail)
    child.once('exit', fail)
    if (child.stdout === null) return fail()
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /"url":"([^"]+)"/.exec(line)?.[1]
      if (found !== undefined) resolve(found)
    })
  })
  url.catch(() => undefined)
  return {
    url,
    kill() {
      process.off('exit', killAtExit)
      child.kill('SIGKILL')
    },
  }
}
