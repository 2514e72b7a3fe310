import { createConsole, type ReviewCaller } from '../../connectors/console/server.ts'
import { type AddressList, plainAddress } from '../../connectors/gateway/addresses.ts'
import { messageOf } from '../../core/errors.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import type { Context } from '../command.ts'
import { WatchedFile } from '../gateway/watched-file.ts'
import { closing, untilAborted } from '../runtime.ts'
import { type DeskSettings, withDesk } from './connection.ts'

export type ServeSettings = DeskSettings & {
  readonly gatewayFile: string
  readonly host: string
  readonly port: number
}

const FILE_LOOK_MS = 5_000
const LOG_LOOK_MS = 5_000

/** Serves the HTTP interface to dead letters until it is told to stop. */
export async function serveLetters(context: Context<ServeSettings>): Promise<void> {
  const { settings, clock, logger, signal, terminal } = context
  const file = await WatchedFile.open({
    path: settings.gatewayFile,
    environment: process.env,
    clock,
    logger,
    everyMs: FILE_LOOK_MS,
  })
  await closing(file, () =>
    withDesk(context, async (desk, log) => {
      const watch = new LogWatch(log, topicNames(settings.prefix).dlq)
      const server = createConsole({
        desk,
        logger,
        trusts: (address) => isIn(file.file.directory.trustedProxies, address),
        health: () => watch.report(),
        authenticate: (key, address) => callerOf(file, { key, address, now: clock.now() }),
      })
      await closing(server, async () => {
        await watch.look()
        const port = await server.listen(settings)
        terminal.note(`serving dead letters on http://${settings.host}:${port}/v1/dlq`)
        const watching = [watch.watch(context), file.watch(() => undefined)]
        await untilAborted(signal)
        await file.close()
        await Promise.all(watching)
      })
    }),
  )
}

function callerOf(
  { file }: WatchedFile,
  { key, address, now }: { readonly key: string; readonly address: string; readonly now: number },
): ReviewCaller | undefined {
  const source = file.directory.keys.find(key, now)?.source
  if (source === undefined) return undefined
  const { allowIps, scopes } = source
  if (allowIps !== undefined && !isIn(allowIps, address)) return undefined
  return { name: source.source.name, scopes }
}

function isIn(list: AddressList, address: string): boolean {
  const plain = plainAddress(address)
  return plain !== undefined && list.has(plain)
}

/** Whether Kafka answers, for probes. */
class LogWatch {
  readonly #log: Log
  readonly #topic: string
  #problem: string | undefined

  constructor(log: Log, topic: string) {
    this.#log = log
    this.#topic = topic
  }

  report(): { readonly alive: boolean; readonly ready: boolean; readonly reasons: readonly string[] } {
    const reasons = this.#problem === undefined ? [] : [this.#problem]
    return { alive: true, ready: reasons.length === 0, reasons }
  }

  async watch({ clock, signal }: Pick<Context<unknown>, 'clock' | 'signal'>): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(LOG_LOOK_MS, signal)
      if (!signal.aborted) await this.look()
    }
  }

  async look(): Promise<void> {
    try {
      const found = await this.#log.topic(this.#topic)
      this.#problem = found === undefined ? `there is no topic ${this.#topic}` : undefined
    } catch (error) {
      this.#problem = messageOf(error)
    }
  }
}
