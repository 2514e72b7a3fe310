/**
 * A real schema registry with Confluent's API for tests: Apicurio on a free port, with nothing kept over its end. Where
 * Java or Maven is missing, tests are skipped and say so loudly; with CI=true that is an error.
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { systemClock as clock } from '../../core/clock.ts'

const run = promisify(execFile)
const here = dirname(fileURLToPath(import.meta.url))
const cache = join(here, '..', '..', '.cache', 'apicurio')
const VERSION = '2.6.13.Final'
const home = join(cache, VERSION)
const START_MS_MAX = 60_000

export interface TestRegistry {
  /** Where its Confluent API begins. */
  readonly url: string
  /** Ends it; what it held is gone. Idempotent. */
  stop(): Promise<void>
}

export type RegistryAvailability = { readonly available: boolean }

/** For `describe.skipIf(!registryForTests().available)`. Throws where CI=true and there is none to test against. */
export function registryForTests(): RegistryAvailability {
  const missing = ['java', ...(existsSync(home) ? [] : ['mvn'])].filter(
    (command) => spawnSync(command, ['-version'], { stdio: 'ignore' }).status !== 0,
  )
  if (missing.length === 0) return { available: true }
  const reason = `${missing.join(' and ')} cannot be run`
  if (process.env['CI'] === 'true') throw new Error(`CI demands tests against a real schema registry, but ${reason}`)
  process.stderr.write(`\n*** SKIPPED: tests against a real schema registry, because ${reason} ***\n\n`)
  return { available: false }
}

/** Starts one. Takes four seconds once it is there. */
export async function startRegistry(): Promise<TestRegistry> {
  await fetchRegistry()
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await launch(await freePort())
    } catch (error) {
      // a free port may have been taken between asking and listening
      if (attempt === 3) throw error
    }
  }
}

/** Fetches it once. Two processes may do it at the same time: each fills its own folder, the first rename wins. */
async function fetchRegistry(): Promise<void> {
  if (existsSync(home)) return
  await mkdir(cache, { recursive: true })
  const own = await mkdtemp(join(cache, 'own-'))
  const artifact = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`
  await run('mvn', ['-q', '-B', 'dependency:copy', `-Dartifact=${artifact}`, `-DoutputDirectory=${own}`])
  const [archive = ''] = await readdir(own)
  await run('tar', ['-xzf', join(own, archive), '-C', own])
  await rm(join(own, archive))
  try {
    await rename(own, home)
  } catch (error) {
    if (!existsSync(home)) throw error
    await rm(own, { recursive: true, force: true })
  }
}

/** As for Kafka: the shell kills the JVM as soon as its own standard input closes, so that none outlives its tests. */
const GUARD = `exec 3<&0
java "$@" > /dev/null 2>&1 & jvm=$!
( cat <&3 > /dev/null; kill -9 $jvm 2> /dev/null ) & guard=$!
wait $jvm; kill $guard 2> /dev/null`

async function launch(port: number): Promise<TestRegistry> {
  const options = ['-Xmx128m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', `-Dquarkus.http.port=${port}`]
  const jar = join(home, `apicurio-registry-app-${VERSION}-runner.jar`)
  const args = ['-c', GUARD, 'registry', ...options, '-Dquarkus.http.host=127.0.0.1', '-jar', jar]
  const guard: ChildProcess = spawn('sh', args, { stdio: ['pipe', 'ignore', 'ignore'] })
  let running = true
  const exited = new Promise<void>((resolve) => {
    guard.once('exit', () => {
      running = false
      resolve()
    })
  })
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const deadline = clock.monotonic() + START_MS_MAX
  while (!(await answers(`${url}/subjects`))) {
    if (!running || clock.monotonic() > deadline) throw new Error(`the schema registry did not come up on port ${port}`)
    await clock.sleep(100)
  }
  return {
    url,
    stop: async () => {
      guard.stdin?.destroy()
      await exited
    },
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
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
