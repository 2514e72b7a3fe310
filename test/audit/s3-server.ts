/**
 * An S3 server that others have written, for tests: S3Mock on Java 17, fetched once. Where it cannot be run, tests against it
 * are skipped and say so loudly; with CI=true that is an error.
 */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock as clock } from '../../core/clock.ts'

const run = promisify(execFile)
const cache = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '.cache', 's3mock')
const VERSION = '3.12.0'
const JAR = join(cache, `s3mock-${VERSION}-exec.jar`)
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy'
const START_MS_MAX = 60_000

export interface S3Server {
  readonly endpoint: string
  stop(): Promise<void>
}

/** For `describe.skipIf(!s3ForTests())`. Throws where CI=true and there is none to test against. */
export function s3ForTests(): boolean {
  const missing = ['java', ...(existsSync(JAR) ? [] : ['mvn'])].filter((command) => !runs(command))
  if (missing.length === 0) return true
  const reason = `${missing.join(' and ')} cannot be run`
  if (process.env['CI'] === 'true') throw new Error(`CI demands tests against an S3 server, but ${reason}`)
  process.stderr.write(`\n*** SKIPPED: tests against an S3 server, because ${reason} ***\n\n`)
  return false
}

export async function startS3(): Promise<S3Server> {
  await fetchJar()
  const data = await mkdtemp(join(tmpdir(), 'onceward-s3-'))
  const port = await freePort()
  const setting = 'com.adobe.testing.s3mock'
  const child = spawn(
    'java',
    [
      '-Xmx256m',
      '-XX:TieredStopAtLevel=1',
      '-jar',
      JAR,
      '--server.port=0',
      `--${setting}.httpPort=${port}`,
      `--${setting}.domain.root=${data}`,
    ],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  )
  const killAtExit = (): void => void child.kill('SIGKILL')
  process.once('exit', killAtExit)
  const endpoint = `http://127.0.0.1:${port}`
  const deadline = clock.monotonic() + START_MS_MAX
  while (
    !(await fetch(endpoint).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || clock.monotonic() > deadline) throw new Error('the S3 server did not come up')
    await clock.sleep(100)
  }
  return {
    endpoint,
    async stop() {
      process.off('exit', killAtExit)
      const ended = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await ended
      await rm(data, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}

function runs(command: string): boolean {
  return spawnSync(command, ['-version'], { stdio: 'ignore' }).status === 0
}

async function fetchJar(): Promise<void> {
  if (existsSync(JAR)) return
  await mkdir(cache, { recursive: true })
  const own = await mkdtemp(join(cache, 'jar-'))
  const artifact = `com.adobe.testing:s3mock:${VERSION}:jar:exec`
  await run('mvn', ['-q', '-B', COPY, `-Dartifact=${artifact}`, `-DoutputDirectory=${own}`])
  await rename(join(own, `s3mock-${VERSION}-exec.jar`), JAR)
  await rm(own, { recursive: true, force: true })
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0))
    })
  })
}
