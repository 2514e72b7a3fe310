import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { openPostgresLedger } from '../../connectors/ledger/ledger.ts'
import { eventually } from './fixtures.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'onceward-embedded-'))
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function start(dir: string, port?: number): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ dir, durable: false, ...(port === undefined ? {} : { port }) })
  cleanups.push(() => server.stop())
  return server
}

function serverPid(dir: string): number {
  return Number(readFileSync(join(dir, 'pgdata', 'postmaster.pid'), 'utf8').split('\n')[0])
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

test('what was stored is there after a stop and a start, in a folder that others may not enter', async () => {
  const dir = join(folder(), 'below', 'it')
  const first = await start(dir)
  const ledger = openPostgresLedger({ url: first.url, allowNonDurable: true })
  await ledger.migrate()
  await ledger.close()
  await first.stop()
  await first.stop()
  const again = openPostgresLedger({ url: (await start(dir)).url })
  expect(await again.totals()).toEqual([])
  await again.close()
})

test('a folder that another process uses is refused, and one that a dead process left is taken over', async () => {
  const dir = folder()
  const other = launch(dir, 'stay')
  await other.up
  await expect(start(dir)).rejects.toThrow(new RegExp(`process ${other.pid} is using`))
  const orphan = serverPid(dir)
  other.kill('SIGKILL')
  await other.ended
  expect(alive(orphan)).toBe(true)
  const server = await start(dir)
  await eventually('the orphan has ended', () => !alive(orphan))
  await server.stop()
})

test.each([
  ['on SIGTERM, and the process dies of it', 'stay', 'SIGTERM', { code: null, signal: 'SIGTERM' }],
  ['on SIGINT, and the process dies of it', 'stay', 'SIGINT', { code: null, signal: 'SIGINT' }],
  ['when the process ends by an error, whose exit code stands', 'throw', undefined, { code: 1, signal: null }],
  ['by its owner, where the program handles the signal', 'handle', 'SIGTERM', { code: 7, signal: null }],
] as const)('the server is stopped %s', async (_, mode, signal, expected) => {
  const dir = folder()
  const other = launch(dir, mode)
  await other.up
  const pid = serverPid(dir)
  if (signal !== undefined) other.kill(signal)
  expect(await other.ended).toEqual(expected)
  await eventually('the server has ended', () => !alive(pid))
})

test('a port that is taken is named', async () => {
  const blocker = createServer()
  await new Promise<void>((done) => blocker.listen(0, '127.0.0.1', done))
  cleanups.push(() => void blocker.close())
  const address = blocker.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  await expect(start(folder(), port)).rejects.toMatchObject({
    code: 'ONCEWARD_E_POSTGRES_EMBEDDED',
    message: expect.stringContaining(`port ${port} is taken`),
  })
})

interface Launched {
  readonly pid: number | undefined
  readonly up: Promise<void>
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  kill(signal: NodeJS.Signals): void
}

const module = (name: string): string => new URL(`../../connectors/ledger/${name}.ts`, import.meta.url).href

/** Where it handles the signal itself, the server must still answer then: a sink books its last payments. */
const OWNER = `
import { startEmbeddedPostgres } from '${module('embedded-postgres')}'
import { openPostgresLedger } from '${module('ledger')}'
const [dir, mode] = process.argv.slice(1)
const server = await startEmbeddedPostgres({ dir, durable: false })
if (mode === 'handle') {
  process.on('SIGTERM', async () => {
    const answered = await openPostgresLedger({ url: server.url, allowNonDurable: true }).migrate().then(() => true, () => false)
    await server.stop()
    process.exit(answered ? 7 : 8)
  })
}
process.stdout.write('up')
// Only once the test has seen the server.
if (mode === 'throw') setTimeout(() => { throw new Error('as asked') }, 300)
`

/** Another Node process that starts the server, says "up", and then does what `mode` says. */
function launch(dir: string, mode: 'stay' | 'throw' | 'handle'): Launched {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '--eval', OWNER, dir, mode], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const ended = new Promise<Awaited<Launched['ended']>>((done) =>
    child.on('exit', (code, signal) => done({ code, signal })),
  )
  cleanups.push(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const up = new Promise<void>((done, failed) => {
    child.stdout.on('data', () => done())
    child.on('exit', () => failed(new Error('the owner ended before its server was up')))
  })
  return { pid: child.pid, up, ended, kill: (signal) => void child.kill(signal) }
}
