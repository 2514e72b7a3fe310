import { execFile } from 'node:child_process'
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PROJECT } from '../repo/source-files.ts'

/** Builds the SDK into a new folder, as `npm run build` does into dist/sdk; the caller removes it. */
export async function builtSdk(): Promise<{ readonly folder: string; readonly printed: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'onceward-sdk-built-'))
  const { stdout } = await promisify(execFile)(process.execPath, [join(PROJECT, 'sdk', 'build.mjs'), '--out', folder])
  return { folder, printed: stdout }
}
