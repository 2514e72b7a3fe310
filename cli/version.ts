import { readFile } from 'node:fs/promises'

/** The version in package.json, which stands one folder up in the sources and two folders up when built. */
export async function productVersion(): Promise<string> {
  for (const path of ['../package.json', '../../package.json']) {
    const text = await readFile(new URL(path, import.meta.url), 'utf8').catch(() => undefined)
    const version = text === undefined ? undefined : (JSON.parse(text) as { version?: string }).version
    if (version !== undefined) return version
  }
  return 'unknown'
}
