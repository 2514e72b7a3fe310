import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'
import { secretFile } from '../settings/shared.ts'

const port = setting('port', {
  type: 'integer',
  default: '8090',
  min: 0,
  max: 65_535,
  placeholder: 'PORT',
  help: 'port to listen on (0: any free one)',
})

const host = setting('host', {
  type: 'text',
  default: '127.0.0.1',
  placeholder: 'ADDRESS',
  help: 'address to listen on',
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

const seed = setting('seed', {
  type: 'integer',
  default: '1',
  min: 0,
  max: 4_294_967_295,
  help: 'the same seed gives the same sequence of failures',
})

export const partner = command({
  name: 'partner',
  group: 'Trying out',
  summary: 'play the wallet: check signatures, remember request ids, fail on request',
  description: `
    Listens for what the sink sends, checks signature and age, and pays each request id once: a repeat gets the same
    payout_id and status. It can be told to fail, to see that no reward is lost or paid twice.

    GET /stats shows what happened so far, GET /payouts the request ids paid. The address is printed first; when it is
    stopped, it prints its statistics.`,
  examples: [
    { line: 'onceward partner --secret-file wallet.secret', says: 'a wallet that always pays, on port 8090' },
    {
      line: 'onceward partner --secret-file wallet.secret --fail-rate 0.1 --timeout-rate 0.05 --seed 7',
      says: 'a wallet on a bad day',
    },
  ],
  settings: [secretFile, port, host, failRate, timeoutRate, seed],
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
      failRate: settings.failRate,
      timeoutRate: settings.timeoutRate,
      seed: settings.seed,
    })
    await terminal.print(`${JSON.stringify({ url: running.url })}\n`)
    terminal.note(`the wallet listens on ${running.url}; Ctrl-C stops it`)
    await untilAborted(signal)
    await running.stop()
    await terminal.print(`${JSON.stringify(running.stats())}\n`)
  },
})
