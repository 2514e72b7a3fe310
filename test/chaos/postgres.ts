import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../connectors/ledger/embedded-postgres.ts'

export interface ChaosPostgres {
  readonly url: string
  /** Ends the server, in order or as a crash does, stays away for `pause`, and starts it on the same port and data. */
  restart(options: { readonly crash: boolean; readonly pause: () => Promise<void> }): Promise<void>
  stop(): Promise<void>
}

/** Durable: with synchronous_commit off the server forgets at a crash what it has acknowledged, and that is no fault of ours. */
export async function startChaosPostgres(dir: string): Promise<ChaosPostgres> {
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dir, durable: true })
  const { url } = server
  const port = Number(new URL(url).port)
  return {
    url,
    async restart({ crash, pause }) {
      // SIGQUIT is Postgres' immediate shutdown: no checkpoint, and the next start recovers from the log.
      if (crash)
        process.kill(Number(readFileSync(join(dir, 'pgdata', 'postmaster.pid'), 'utf8').split('\n')[0]), 'SIGQUIT')
      await server.stop()
      await pause()
      server = await startEmbeddedPostgres({ dir, port, durable: true })
    },
    stop: () => server.stop(),
  }
}
