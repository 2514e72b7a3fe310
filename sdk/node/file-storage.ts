import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { QueueStorage } from '../environment.ts'

/** A space never stands in an encoded key. */
const HALF_WRITTEN = ' new'

/**
 * Keeps queued events in `folder`, a file for each, so that they outlive the process. Give each process a folder of its own:
 * two that share one send the same events. Each call works on the disk at once and throws what the file system throws.
 */
export function fileStorage(folder: string): QueueStorage {
  mkdirSync(folder, { recursive: true })
  const pathOf = (key: string): string => join(folder, encodeURIComponent(key))
  let keys: string[] = []
  return {
    get length() {
      const names = readdirSync(folder).filter((name) => !name.endsWith(HALF_WRITTEN))
      keys = names.map((name) => decodeURIComponent(name))
      return keys.length
    },
    key: (index) => keys[index] ?? null,
    getItem: (key) => {
      try {
        return readFileSync(pathOf(key), 'utf8')
      } catch {
        return null
      }
    },
    setItem: (key, value) => {
      // Whole or not at all, whenever the process ends.
      writeFileSync(pathOf(key) + HALF_WRITTEN, value)
      renameSync(pathOf(key) + HALF_WRITTEN, pathOf(key))
    },
    removeItem: (key) => rmSync(pathOf(key), { force: true }),
  }
}
