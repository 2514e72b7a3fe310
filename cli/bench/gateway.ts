import { type ChildProcess, fork } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keyHash } from '../../connectors/gateway/keys.ts'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { createTopics, topicSpecs } from '../log-tools/topics.ts'
import { GatewayChild } from './gateway-child.ts'
import type { GatewayJob, GatewayMessage, GatewayPhase, PhaseFigures } from './gateway-job.ts'

export interface GatewayBenchOptions {
  readonly log: Log
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Begins the names of the topics. */
  readonly name: string
  readonly folder: string
  readonly partitions: number
  /** Flags that lead to the brokers. */
  readonly connection: readonly string[]
  readonly phases: readonly GatewayPhase[]
  /** With an audit log in the folder. */
  readonly audited: boolean
  readonly onPhase: (phase: string) => void
}

export interface GatewayFigures {
  readonly phases: readonly (PhaseFigures & {
    /** Of the gateway, over the whole phase with its warm-up. */
    readonly cpuSeconds: number
    readonly rssBytes: number
  })[]
  /** Events that stand on the bus at the end. */
  readonly onBus: number
  readonly audited: boolean
}

/** In a build this file is JavaScript, and so is the one beside it. */
const SCRIPT = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './gateway-load-process.ts' : './gateway-load-process.js', import.meta.url),
)
const KEY = 'onceward_bench'
const RETENTION_MS = 3_600_000

/**
 * A gateway as a process of its own, and a second process that makes the load. Rejects with the first failure, or the signal's reason; no
 * process is left either way.
 */
export async function runGatewayBench(options: GatewayBenchOptions): Promise<GatewayFigures> {
  const { log, clock, signal, name, partitions, phases, audited, onPhase } = options
  const topics = topicNames(`${name}.`)
  onPhase('making topics and starting a gateway')
  await createTopics(log, topicSpecs({ topics, partitions, retentionMs: RETENTION_MS }))
  const gateway = new GatewayChild({ clock, args: await gatewayArgs(options) })
  let load: LoadProcess | undefined
  const aborted = whenAborted(signal)
  try {
    const port = await Promise.race([gateway.port, gateway.died, aborted])
    load = new LoadProcess({ port, key: KEY, run: name, phases })
    const measured: GatewayFigures['phases'][number][] = []
    let used = await gateway.usage()
    for (const phase of phases) {
      onPhase(phaseText(phase))
      const figures = await Promise.race([load.next(), gateway.died, aborted])
      const usage = await gateway.usage()
      measured.push({ ...figures, cpuSeconds: usage.cpuSeconds - used.cpuSeconds, rssBytes: usage.rssBytes })
      used = usage
    }
    return { phases: measured, onBus: await countOf(log, topics.events, partitions), audited }
  } finally {
    load?.kill()
    await gateway.stop()
  }
}

function phaseText(phase: GatewayPhase): string {
  const { warmUpSeconds, seconds } = phase
  return phase.kind === 'singles'
    ? `${phase.rate} requests a second for ${seconds} s, after ${warmUpSeconds} s to warm up`
    : `batches of ${phase.size}, ${phase.atOnce} at once, for ${seconds} s, after ${warmUpSeconds} s to warm up`
}

async function gatewayArgs({ name, folder, connection, audited }: GatewayBenchOptions): Promise<readonly string[]> {
  const file = join(folder, 'gateway.yaml')
  const limits = '{ events_per_second: 1000000, burst: 10000000, body: 1MiB, batch: 500 }'
  const keys = `[{ id: bench_1, hash: "sha256:${keyHash(KEY)}" }]`
  await writeFile(file, `sources:\n  - { name: bench, keys: ${keys}, scopes: [events:write], limits: ${limits} }\n`)
  const audit = audited ? ['--audit', join(folder, 'audit')] : []
  return [...connection, '--gateway-file', file, '--prefix', `${name}.`, ...audit]
}

/** Nothing but the gateway writes there, and nothing of it in transactions, so that offsets count records. */
async function countOf(log: Log, topic: string, partitions: number): Promise<number> {
  const bounds = await log.bounds(Array.from({ length: partitions }, (_, partition) => ({ topic, partition })))
  return bounds.reduce((sum, { earliest, end }) => sum + end - earliest, 0)
}

function whenAborted(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    const stop = (): void => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
  aborted.catch(() => undefined)
  return aborted
}

class LoadProcess {
  readonly #child: ChildProcess
  readonly #measured: PhaseFigures[] = []
  #waiting: { resolve(figures: PhaseFigures): void; reject(error: Error): void } | undefined
  #failure: Error | undefined

  constructor(job: GatewayJob) {
    this.#child = fork(SCRIPT, { execArgv: process.execArgv })
    this.#child.on('message', (message: GatewayMessage) => this.#hear(message))
    this.#child.once('error', (error) => this.#fail(messageOf(error)))
    this.#child.once('exit', (code, signal) => this.#fail(signal ?? `exit code ${code}`))
    this.#child.send(job)
  }

  /** The figures of the next phase. */
  next(): Promise<PhaseFigures> {
    const ready = this.#measured.shift()
    if (ready !== undefined) return Promise.resolve(ready)
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #hear(message: GatewayMessage): void {
    if (message.kind === 'failed') this.#fail(message.message)
    if (message.kind !== 'measured') return
    if (this.#waiting === undefined) this.#measured.push(message.figures)
    else this.#waiting.resolve(message.figures)
    this.#waiting = undefined
  }

  #fail(how: string): void {
    this.#failure ??= new OncewardError('ONCEWARD_E_GAVE_UP', `the load of the bench ended: ${how}`)
    this.#waiting?.reject(this.#failure)
    this.#waiting = undefined
  }
}
