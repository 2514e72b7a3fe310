import { parseDuration } from '../../core/durations.ts'
import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'
import { listenHost, listenPort, secretFile } from '../settings/shared.ts'

const port = listenPort('8090')
const host = listenHost('127.0.0.1')

const otherSecretFile = setting('other-secret-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file with a second secret that is accepted, while secrets are exchanged',
})

const failRate = setting('fail-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are answered with 500, half of them after paying',
})

const timeoutRate = setting('timeout-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are never answered, half of them after paying',
})

const lateRate = setting('late-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are paid and answered --late-by later',
})

const lateBy = setting('late-by', {
  type: 'duration',
  default: '15s',
  min: 0,
  max: 3_600_000,
  help: 'how late those answers are; above the time-out of the sink, they come too late',
})

const loseRate = setting('lose-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are paid and whose connection is closed without an answer',
})

const resetRate = setting('reset-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls whose connection is closed before paying',
})

const rejectRate = setting('reject-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are answered with 422 and not paid',
})

const throttleRate = setting('throttle-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that are answered with 429 and --retry-after, and not paid',
})

const retryAfter = setting('retry-after', {
  type: 'duration',
  default: '1s',
  min: 0,
  max: 3_600_000,
  help: 'what the Retry-After of a 429 asks for, in whole seconds',
})

const redirectRate = setting('redirect-rate', {
  type: 'rate',
  default: '0',
  help: "part of the calls that are answered with 307 to a cloud's metadata service, and not paid",
})

const differRate = setting('differ-rate', {
  type: 'rate',
  default: '0',
  help: 'part of the calls that answer a repeat with another payout_id',
})

const latency = setting('latency', {
  type: 'duration',
  default: '0ms',
  min: 0,
  max: 3_600_000,
  help: 'how long each answer takes',
})

const down = setting('down', {
  type: 'text',
  placeholder: 'FOR/EVERY',
  help: 'how long it is down (503) at the end of each period, such as 10s/60s',
  pattern: {
    test: /^\d+(\.\d+)?(ms|s|m|h)\/\d+(\.\d+)?(ms|s|m|h)$/,
    right: 'two durations; write such as 10s/60s: down for the last 10 s of every 60 s',
  },
})

const currencies = setting('currencies', {
  type: 'list',
  placeholder: 'EUR,...',
  help: 'currencies that it pays cash in; cash in any other is refused',
})

const state = setting('state', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file that it appends what it paid to, so that it pays once over its own restarts, too',
})

const statementFile = setting('statement-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file that it writes its statement to when it is stopped: CSV, or NDJSON where the name ends in .ndjson',
})

const seed = setting('seed', {
  type: 'integer',
  default: '1',
  min: 0,
  max: 4_294_967_295,
  help: 'the same seed gives the same sequence of failures',
})

const FAULTS = [
  failRate,
  timeoutRate,
  lateRate,
  lateBy,
  loseRate,
  resetRate,
  rejectRate,
  throttleRate,
  retryAfter,
  redirectRate,
  differRate,
] as const

export const partner = command({
  name: 'partner',
  group: 'Trying out',
  summary: 'play the wallet: check signatures, remember request ids, fail on request',
  description: `
    Listens for what the sink sends, checks signature and age (X-Signature and Standard Webhooks, whichever are there), and
    pays each request id once: a repeat gets the same payout_id and status, another order under a paid id gets 409. It can
    be told to fail, to see that no reward is lost or paid twice.

    GET /stats shows what happened so far, GET /payouts the request ids paid, GET /statement?format=csv|ndjson a line for
    each payout. POST /control changes how it behaves while it runs, unsigned: {"faults":{"fail":0.1,"late":0.05}} (fail,
    timeout, late, lose, reset, reject, throttle, redirect, differ), "latency_ms", "late_ms", "retry_after_s", and
    "down":"answer" (503), "close" (connections are closed) or "no", with "down_for_ms" for a while only.

    The address is printed first; when it is stopped, it prints its statistics. It keeps every payout in memory, a million
    in some 320 MB.`,
  examples: [
    { line: 'onceward partner --secret-file wallet.secret', says: 'a wallet that always pays, on port 8090' },
    {
      line: 'onceward partner --secret-file wallet.secret --fail-rate 0.1 --timeout-rate 0.05 --seed 7',
      says: 'a wallet on a bad day',
    },
    {
      line: 'onceward partner --secret-file wallet.secret --lose-rate 5% --down 10s/60s --state paid.log --statement-file paid.csv',
      says: 'one that loses answers, is down every minute, and hands out its statement at the end',
    },
  ],
  settings: [secretFile, otherSecretFile, port, host, ...FAULTS, latency, down, currencies, seed, state, statementFile],
  service: true,
  async run({ settings, signal, clock, terminal }) {
    const { startPartner } = await import('../../connectors/partner/partner.ts')
    const { untilAborted } = await import('../runtime.ts')
    const { readSecret } = await import('../secret-file.ts')
    const running = await startPartner({
      port: settings.port,
      host: settings.host,
      secret: await readSecret('--secret-file', settings.secretFile),
      clock,
      faults: {
        fail: settings.failRate,
        timeout: settings.timeoutRate,
        late: settings.lateRate,
        lose: settings.loseRate,
        reset: settings.resetRate,
        reject: settings.rejectRate,
        throttle: settings.throttleRate,
        redirect: settings.redirectRate,
        differ: settings.differRate,
      },
      lateMs: settings.lateBy,
      retryAfterS: Math.ceil(settings.retryAfter / 1_000),
      latencyMs: settings.latency,
      seed: settings.seed,
      ...(settings.otherSecretFile === undefined
        ? {}
        : { otherSecrets: [await readSecret('--other-secret-file', settings.otherSecretFile)] }),
      ...(settings.down === undefined ? {} : { downWindow: downWindow(settings.down) }),
      ...(settings.currencies === undefined ? {} : { currencies: settings.currencies }),
      ...(settings.state === undefined ? {} : { stateFile: settings.state }),
      ...(settings.statementFile === undefined ? {} : { statementFile: settings.statementFile }),
    })
    await terminal.print(`${JSON.stringify({ url: running.url })}\n`)
    terminal.note(`the wallet listens on ${running.url}; Ctrl-C stops it`)
    await untilAborted(signal)
    await running.stop()
    await terminal.print(`${JSON.stringify(running.stats())}\n`)
  },
})

/** Of `10s/60s`, which the setting's pattern has let pass. */
function downWindow(text: string): { forMs: number; everyMs: number } {
  const [length = '', period = ''] = text.split('/')
  return { forMs: parseDuration(length), everyMs: parseDuration(period) }
}
