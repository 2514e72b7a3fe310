/**
 * A real Kafka for tests: one KRaft node on free ports with a data directory of its own, or the cluster that
 * KAFKA_BROKERS names. Where there is neither that nor Java with Maven, tests are skipped and say so loudly; with
 * CI=true that is an error, so that a pipeline can never pass without having met Kafka.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock as clock } from '../../core/clock.ts'

const run = promisify(execFile)
const here = dirname(fileURLToPath(import.meta.url))
const cache = join(here, '..', '..', '.cache', 'kafka')
const lib = join(cache, 'lib')
const START_MS_MAX = 60_000

export interface TestKafka {
  /** `host:port`, comma-separated. */
  readonly brokers: string
  /** The broker's process; undefined for a cluster that was there already, which none of the calls below may touch. */
  readonly pid: number | undefined
  /** Where the listener for a proxy listens; undefined where none was asked for. */
  readonly proxiedPort: number | undefined
  /** Stops the broker and deletes its data. Idempotent. */
  stop(): Promise<void>
  /** Stops the broker (`kill`: without a chance to say good-bye) and starts it again on the same data and ports. */
  restart(options?: { kill?: boolean }): Promise<void>
  /** Freezes the broker (SIGSTOP): connections stay, answers don't come. */
  pause(): void
  resume(): void
}

export type KafkaAvailability = { readonly available: true } | { readonly available: false; readonly reason: string }

/** For `describe.skipIf(!kafkaForTests().available)`. Throws where CI=true and there is no Kafka to test against. */
export function kafkaForTests(): KafkaAvailability {
  if (process.env['KAFKA_BROKERS']) return { available: true }
  const missing = ['java', ...(existsSync(lib) ? [] : ['mvn'])].filter((command) => !runs(command))
  if (missing.length === 0) return { available: true }
  const reason = `no KAFKA_BROKERS is set and ${missing.join(' and ')} cannot be run`
  if (process.env['CI'] === 'true') throw new Error(`CI demands tests against a real Kafka, but ${reason}`)
  process.stderr.write(`\n*** SKIPPED: tests against a real Kafka, because ${reason} ***\n\n`)
  return { available: false, reason }
}

export interface KafkaOptions {
  /** A second listener, which tells its clients to come by this port: a proxy's in front of it. Needs a broker of our own. */
  readonly proxyPort?: number
}

/** Starts a broker, or answers the cluster of KAFKA_BROKERS. Takes three seconds once the jars are there. */
export async function startKafka(options: KafkaOptions = {}): Promise<TestKafka> {
  const external = process.env['KAFKA_BROKERS']
  if (external) return externalKafka(external)
  await fetchJars()
  const data = await mkdtemp(join(tmpdir(), 'onceward-kafka-'))
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await localKafka(data, options)
    } catch (error) {
      // a free port may have been taken between asking and listening
      if (attempt === 3) throw error
      await rm(data, { recursive: true, force: true })
      await mkdir(data)
    }
  }
}

function runs(command: string): boolean {
  return spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0
}

function externalKafka(brokers: string): TestKafka {
  const no = (): never => {
    throw new Error('the cluster of KAFKA_BROKERS is not ours to stop or start')
  }
  const never = { restart: no, pause: no, resume: no }
  return { brokers, pid: undefined, proxiedPort: undefined, stop: () => Promise.resolve(), ...never }
}

/** Copies the jars once. Two processes may do it at the same time: each fills its own folder, the first rename wins. */
async function fetchJars(): Promise<void> {
  if (existsSync(lib)) return
  await mkdir(cache, { recursive: true })
  const own = await mkdtemp(join(cache, 'lib-'))
  const pom = join(here, 'kafka-pom.xml')
  await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', `-DoutputDirectory=${own}`])
  try {
    await rename(own, lib)
  } catch (error) {
    if (!existsSync(lib)) throw error
    await rm(own, { recursive: true, force: true })
  }
}

async function localKafka(data: string, { proxyPort }: KafkaOptions): Promise<TestKafka> {
  const [port, controllerPort] = [await freePort(), await freePort()]
  const properties = join(data, 'server.properties')
  const proxied = proxyPort === undefined ? undefined : { port: await freePort(), proxyPort }
  await writeFile(properties, serverProperties(data, { port, controllerPort, proxied }))
  const id = randomBytes(16).toString('base64url')
  await run('java', [...JVM, 'kafka.tools.StorageTool', 'format', '--standalone', '-t', id, '-c', properties])
  const broker = new Broker(data, properties, port)
  await broker.start()
  const killAtExit = (): void => broker.kill()
  process.once('exit', killAtExit)
  return {
    brokers: `127.0.0.1:${port}`,
    proxiedPort: proxied?.port,
    get pid() {
      return broker.pid
    },
    stop: async () => {
      process.off('exit', killAtExit)
      await broker.stop('SIGKILL')
      await rm(data, { recursive: true, force: true, maxRetries: 5 })
    },
    restart: async ({ kill = false } = {}) => {
      await broker.stop(kill ? 'SIGKILL' : 'SIGTERM')
      await broker.start()
    },
    pause: () => {
      broker.signal('SIGSTOP')
      untilStopped(broker.pid)
    },
    resume: () => broker.signal('SIGCONT'),
  }
}

/** The signal has been sent, but threads on another processor work on until they hear of it: on a busy machine for long enough to answer. */
function untilStopped(pid: number | undefined): void {
  const tasks = `/proc/${pid}/task`
  if (!existsSync(tasks)) return
  const giveUpAt = clock.monotonic() + 5_000
  const works = (task: string): boolean => !/\) [TtZX] /.test(readFileSync(join(tasks, task, 'stat'), 'utf8'))
  while (clock.monotonic() < giveUpAt && readdirSync(tasks).some(works));
}

// A small heap and the quick compiler: tests start it often and use it little.
const JVM = ['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', join(lib, '*')]

/**
 * The shell around the JVM prints the JVM's pid and kills it as soon as its own standard input closes, which also
 * happens when this process is killed: no broker outlives its tests.
 */
const GUARD = `log=$1; shift; exec 3<&0
java "$@" >> "$log" 2>&1 & jvm=$!
echo $jvm
( cat <&3 > /dev/null; kill -9 $jvm 2> /dev/null ) & guard=$!
wait $jvm; kill $guard 2> /dev/null`

class Broker {
  pid: number | undefined
  #guard: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  readonly #log: string
  readonly #properties: string
  readonly #port: number

  constructor(data: string, properties: string, port: number) {
    this.#log = join(data, 'broker.log')
    this.#properties = properties
    this.#port = port
  }

  async start(): Promise<void> {
    const args = ['-c', GUARD, 'kafka', this.#log, ...JVM, 'kafka.Kafka', this.#properties]
    const guard = spawn('sh', args, { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#guard = guard
    let running = true
    this.#exited = new Promise((resolve) => {
      guard.once('exit', () => {
        running = false
        guard.stdin.destroy()
        resolve()
      })
    })
    this.pid = await new Promise<number>((resolve) => {
      guard.stdout.once('data', (text: Buffer) => resolve(Number(text.toString())))
    })
    const deadline = clock.monotonic() + START_MS_MAX
    while (!(await listens(this.#port))) {
      if (!running || clock.monotonic() > deadline) {
        throw new Error(`Kafka did not come up on port ${this.#port}:\n${await readFile(this.#log, 'utf8')}`)
      }
      await clock.sleep(50)
    }
  }

  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.signal(signal)
    await this.#exited
    this.pid = undefined
  }

  signal(signal: NodeJS.Signals): void {
    if (this.pid !== undefined) process.kill(this.pid, signal)
  }

  /** For the exit hook, which cannot wait. */
  kill(): void {
    this.#guard?.stdin?.destroy()
  }
}

interface Ports {
  readonly port: number
  readonly controllerPort: number
  readonly proxied: { readonly port: number; readonly proxyPort: number } | undefined
}

function serverProperties(data: string, { port, controllerPort, proxied }: Ports): string {
  const [listener, advertised] =
    proxied === undefined
      ? ['', '']
      : [`,PROXIED://127.0.0.1:${proxied.port}`, `,PROXIED://127.0.0.1:${proxied.proxyPort}`]
  return `process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:${controllerPort}
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}${listener}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}${advertised}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=${join(data, 'log')}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.backoff.ms=500
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
`
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('close', () => resolve(false))
    socket.setTimeout(1_000, () => socket.destroy())
    socket.once('connect', () => socket.destroy())
  })
}
