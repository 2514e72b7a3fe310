/**
 * A real Postgres for tests: one server for a test file, a fresh database for each test. It does not sync to the disk, for
 * speed: ledgers on it are opened with `allowNonDurable`, sinks with `--allow-non-durable-db`.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'
import { createDatabase } from '../../connectors/ledger/ledger.ts'

export interface TestPostgres {
  /** The URL of a database that nobody has used. */
  freshDatabase(): Promise<string>
  /** Ends the server and starts it again on the same port and data, `pauseMs` later. */
  restart(pause: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

export async function startTestPostgres(): Promise<TestPostgres> {
  const dir = mkdtempSync(join(tmpdir(), 'onceward-postgres-'))
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dir, durable: false })
  const port = Number(new URL(server.url).port)
  let databases = 0
  return {
    async freshDatabase() {
      const name = `test_${++databases}`
      await createDatabase(server.url, name)
      const url = new URL(server.url)
      url.pathname = `/${name}`
      return url.href
    },
    async restart(pause) {
      await server.stop()
      await pause()
      server = await startEmbeddedPostgres({ dir, port, durable: false })
    },
    async stop() {
      await server.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
