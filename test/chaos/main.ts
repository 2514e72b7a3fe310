/** `npm run chaos`: the whole system as processes, broken again and again while events flow, then compared. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { systemClock as clock } from '../../core/clock.ts'
import { kafkaForTests } from '../support/kafka.ts'
import { type ChaosLength, type ChaosReport, runChaos } from './chaos.ts'
import { ALL_FAULTS, FAULT_KINDS, type FaultKind } from './faults.ts'
import { reportTable } from './report.ts'

const HELP = `npm run chaos -- [--minutes 10 | --rounds N] [--seed N] [--faults a,b|all|none] [--rate 200] [--gap 5] [--keep]

Starts a real Kafka, a real Postgres, workers, sinks and a wallet as processes, feeds them events and breaks them. At the
end scores, rewards, ledger, budgets and payments are compared with a plain reference.

  --minutes N   how long events flow and faults happen, overlapping (default 10)
  --rounds N    instead: each fault N times, one after the other, each once all are at work again after the one before
  --seed N      the same seed draws the same events and faults (default: drawn from the clock, and printed)
  --faults ...  which faults, separated by commas, or all (the default) or none:
${Object.entries(FAULT_KINDS)
  .map(([kind, text]) => `                  ${kind.padEnd(17)} ${text}`)
  .join('\n')}
  --rate N      events a second (default 200)
  --gap S       seconds from one fault to the next, on average (default 5)
  --keep        keep the run's folder, with the logs of all processes, even where there is no difference

Ctrl-C stops it and everything that it has started; a second one at once.
Exit codes: 0 no difference, 1 any difference, 2 wrong usage, 130 stopped.
`

const INTERRUPTED = 130

interface Usage {
  readonly length: ChaosLength
  readonly seed: number
  readonly rate: number
  readonly gap: number
  readonly faults: readonly FaultKind[]
  readonly keep: boolean
}

function usage(argv: readonly string[]): Usage | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      minutes: { type: 'string' },
      rounds: { type: 'string' },
      seed: { type: 'string', default: String(Math.floor(clock.now() / 1_000) % 1_000_000) },
      faults: { type: 'string', default: 'all' },
      rate: { type: 'string', default: '200' },
      gap: { type: 'string', default: '5' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  return {
    length: lengthOf(values),
    seed: positive('seed', values.seed),
    rate: positive('rate', values.rate),
    gap: positive('gap', values.gap),
    faults: faultsOf(values.faults),
    keep: values.keep,
  }
}

function lengthOf({ minutes, rounds }: { minutes?: string; rounds?: string }): ChaosLength {
  if (rounds === undefined) return { kind: 'clock', durationMs: positive('minutes', minutes ?? '10') * 60_000 }
  if (minutes !== undefined) throw new Error('--minutes and --rounds exclude each other; write one of them')
  return { kind: 'rounds', rounds: positive('rounds', rounds) }
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (Number.isFinite(value) && value > 0) return value
  throw new Error(`--${name} is "${text}"; write a number above zero`)
}

function faultsOf(text: string): readonly FaultKind[] {
  if (text === 'all') return ALL_FAULTS
  if (text === 'none') return []
  return text.split(',').map((name) => {
    const kind = ALL_FAULTS.find((one) => one === name)
    if (kind === undefined) throw new Error(`there is no fault "${name}"; choose from ${ALL_FAULTS.join(', ')}`)
    return kind
  })
}

async function main(): Promise<number> {
  let asked: Usage | 'help'
  try {
    asked = usage(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`)
    return 2
  }
  if (asked === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  const kafka = kafkaForTests()
  if (!kafka.available) return 1
  const dir = mkdtempSync(join(tmpdir(), 'onceward-chaos-'))
  process.stderr.write(`seed ${asked.seed}, ${lengthText(asked.length)}; logs in ${join(dir, 'logs')}\n`)
  const signal = interruption()
  try {
    const report = await runChaos({ ...asked, gapMs: [asked.gap * 400, asked.gap * 1_600], dir, signal, progress })
    return conclude(report, { ...asked, dir })
  } catch (error) {
    const why = signal.aborted ? 'stopped' : error instanceof Error ? (error.stack ?? error.message) : String(error)
    process.stderr.write(`\n${why}\nseed ${asked.seed}; the logs of all processes are in ${join(dir, 'logs')}\n`)
    return signal.aborted ? INTERRUPTED : 1
  }
}

function lengthText(length: ChaosLength): string {
  return length.kind === 'clock' ? `${length.durationMs / 60_000} minutes` : `${length.rounds} rounds`
}

function conclude(report: ChaosReport, { seed, keep, dir }: Usage & { dir: string }): number {
  process.stdout.write(`\n${reportTable(report, seed)}`)
  const failed = report.differences.length > 0
  if (failed || keep) process.stdout.write(`the logs of all processes are in ${join(dir, 'logs')}\n`)
  else rmSync(dir, { recursive: true, force: true })
  return failed ? 1 : 0
}

/** The first signal stops in order, the second one at once: what was started is killed as this process exits. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(INTERRUPTED)
      process.stderr.write('\nstopping all processes\n')
      controller.abort(new Error(`stopped by ${signal}`))
    })
  }
  return controller.signal
}

/** In a file, or a pipeline's log, a line every so often is enough. */
const LINE_EVERY_MS = 10_000
let lineMs = Number.NEGATIVE_INFINITY

function progress(text: string): void {
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\u001b[K${text}`)
  } else if (clock.monotonic() - lineMs >= LINE_EVERY_MS) {
    lineMs = clock.monotonic()
    process.stderr.write(`${text}\n`)
  }
}

const code = await main()
// What was cut short by a signal may still wait for a broker that is gone.
if (code === INTERRUPTED) process.exit(code)
process.exitCode = code
