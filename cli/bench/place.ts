import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { unwritable } from '../../connectors/files/errors.ts'
import { topicNames } from '../../core/topics.ts'
import type { Context } from '../command.ts'

/** Where a bench may leave things: a name that is new to the cluster, and a folder of its own. */
export interface BenchPlace {
  /** Of the application, and what its topics begin with. */
  readonly name: string
  readonly folder: string
}

/** Makes a place, under `dir` or where the system keeps what is temporary, and removes the folder after `use`. */
export async function withBenchPlace<T>(
  { random, settings }: Pick<Context<{ readonly dir: string | undefined }>, 'random' | 'settings'>,
  use: (place: BenchPlace) => Promise<T>,
): Promise<T> {
  const parent = settings.dir === undefined ? tmpdir() : resolve(settings.dir)
  const folder = await mkdtemp(join(parent, 'onceward-bench-')).catch(unwritable(parent))
  try {
    return await use({ name: `bench-${Math.floor(random() * 36 ** 6).toString(36)}`, folder })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What a bench on Kafka leaves behind, for a person to delete. */
export function leftOnKafka({ name }: BenchPlace): string {
  const { events } = topicNames(`${name}.`)
  return `left on Kafka, for you to delete: topics ${name}.* (such as ${events}), group ${name}`
}
