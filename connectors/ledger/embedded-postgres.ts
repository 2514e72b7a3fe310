/** A real Postgres inside the project's own process tree, for the demo and for tests. */
import { randomBytes } from 'node:crypto'
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import {
  type Account,
  type Binaries,
  commandAs,
  failure,
  findBinaries,
  runToEnd,
  type Server,
  serverAccount,
  startServer,
} from './embedded-server.ts'
import { createDatabase } from './ledger.ts'

export interface EmbeddedPostgresOptions {
  /** Made where it is missing; what it holds is used again. */
  readonly dir: string
  /** Default: any free port of 127.0.0.1. */
  readonly port?: number
  /** Made where it is missing; default `onceward`. */
  readonly database?: string
  /** False gives up safety against a crash of the machine (never of the process) for speed; the ledger must be told to allow it. Default true. */
  readonly durable?: boolean
}

export interface EmbeddedPostgres {
  readonly url: string
  /** Stops it and waits for its end (a few seconds at most). Idempotent. */
  stop(): Promise<void>
}

const USER = 'onceward'
const PORT_TRIES_MAX = 5

/**
 * Starts the server and resolves once it takes connections. It listens on 127.0.0.1 only, with a password kept in the
 * folder. It ends with `stop`, when the process exits, and on a signal that nobody else in the process handles.
 * Throws ONCEWARD_E_POSTGRES_EMBEDDED.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const dir = resolve(options.dir)
  const [binaries, account] = await Promise.all([findBinaries(), serverAccount()])
  mkdirSync(dir, { recursive: true })
  const home: Home = { dir, data: join(dir, 'pgdata'), owner: join(dir, 'owner.pid'), binaries, account }
  takeOver(home)
  const password = await initialise(home)
  const { server, port } = await start(home, options)
  const stop = keepEndInHand(server, () => rmSync(home.owner, { force: true }))
  const url = (database: string): string =>
    `postgres://${USER}:${password}@127.0.0.1:${port}/${database}?sslmode=disable`
  const database = options.database ?? 'onceward'
  try {
    await createDatabase(url('postgres'), database)
  } catch (error) {
    await stop()
    throw error
  }
  return { url: url(database), stop }
}

interface Home {
  readonly dir: string
  readonly data: string
  readonly owner: string
  readonly binaries: Binaries
  readonly account: Account | undefined
}

/** One process owns the folder. An owner that is gone (killed) leaves its mark, and perhaps its server, behind. */
function takeOver(home: Home): void {
  const owner = existsSync(home.owner) ? Number(readFileSync(home.owner, 'utf8')) : undefined
  if (owner !== undefined && owner !== process.pid && alive(owner)) {
    throw failure(`process ${owner} is using ${home.dir}; stop it, or choose another folder`)
  }
  writeFileSync(home.owner, String(process.pid))
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Answers the password. A first start that was cut short left no PG_VERSION behind the last step: begin again. */
async function initialise(home: Home): Promise<string> {
  const passwordFile = join(home.dir, 'password')
  const done = join(home.dir, 'initialised')
  if (existsSync(done)) return readFileSync(passwordFile, 'utf8').trim()
  rmSync(home.data, { recursive: true, force: true })
  const password = randomBytes(18).toString('base64url')
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 })
  mkdirSync(home.data, { mode: 0o700 })
  if (home.account !== undefined) {
    for (const path of [home.data, passwordFile]) chownSync(path, home.account.uid, home.account.gid)
  }
  await runToEnd(
    await commandAs(home.account, home.data, [
      home.binaries.initdb,
      `--pgdata=${home.data}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-sync',
      '--no-instructions',
    ]),
  )
  writeFileSync(done, '')
  return password
}

async function start(home: Home, options: EmbeddedPostgresOptions): Promise<{ server: Server; port: number }> {
  let orphanStopped = false
  for (let tries = 1; ; tries++) {
    const port = options.port ?? (await freePort())
    const outcome = await startServer(
      await commandAs(home.account, home.data, [home.binaries.postgres, '-D', home.data, ...settings(port, options)]),
    )
    if (outcome.kind === 'ready') return { server: outcome.server, port }
    if (outcome.kind === 'locked' && !orphanStopped) {
      orphanStopped = true
      await stopOrphan(home)
    } else if (outcome.kind !== 'port-taken' || options.port !== undefined || tries >= PORT_TRIES_MAX) {
      throw failure(`${outcome.kind === 'port-taken' ? `port ${port} is taken: ` : ''}${outcome.said.trim()}`)
    }
  }
}

function settings(port: number, options: EmbeddedPostgresOptions): string[] {
  const durable = options.durable ?? true
  const values = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 100,
    shared_buffers: '64MB',
    log_timezone: 'UTC',
    // A commit still waits for its write: the kernel has it when the server is killed.
    ...(durable ? {} : { fsync: 'off', full_page_writes: 'off' }),
  }
  return Object.entries(values).flatMap(([name, value]) => ['-c', `${name}=${value}`])
}

/** The server of an owner that was killed still runs: its data are sound, but nobody would ever stop it. */
async function stopOrphan(home: Home): Promise<void> {
  await runToEnd(
    await commandAs(home.account, home.data, [home.binaries.pg_ctl, 'stop', '-D', home.data, '-m', 'fast', '-w', '-s']),
  )
}

function freePort(): Promise<number> {
  return new Promise((done, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address()
      probe.close(() => done(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}

/**
 * SIGINT asks Postgres for its fast shutdown. A signal to this process ends it here only where no other handler of the
 * program would: one that stops in order calls `stop` itself, after its last statement.
 */
function keepEndInHand(server: Server, ended: () => void): () => Promise<void> {
  const interrupt = (): void => {
    server.process.kill('SIGINT')
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  const onSignal = (signal: NodeJS.Signals): void => {
    if (process.listenerCount(signal) > 1) return
    interrupt()
    forget()
    process.kill(process.pid, signal)
  }
  const forget = (): void => {
    process.removeListener('exit', interrupt)
    for (const signal of signals) process.removeListener(signal, onSignal)
  }
  process.on('exit', interrupt)
  for (const signal of signals) process.on(signal, onSignal)
  let stopping: Promise<void> | undefined
  return () => {
    stopping ??= (async () => {
      interrupt()
      await server.ended
      forget()
      ended()
    })()
    return stopping
  }
}
