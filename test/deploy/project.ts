import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** `path` is from the project's folder, here and below. */
export function textOf(path: string): string {
  return readFileSync(join(PROJECT, path), 'utf8')
}

export function isThere(path: string): boolean {
  return existsSync(join(PROJECT, path))
}
