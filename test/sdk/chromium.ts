import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Browser, chromium } from 'playwright-core'
import { PROJECT } from '../repo/source-files.ts'

const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium'

/** For `describe.skipIf(!chromiumForTests())`. Throws where CI=true and there is none. */
export function chromiumForTests(): boolean {
  if (existsSync(EXECUTABLE)) return true
  const reason = `there is no ${EXECUTABLE} (install the package chromium, or name another by the variable CHROMIUM)`
  if (process.env['CI'] === 'true') throw new Error(`CI demands tests in a real browser, but ${reason}`)
  process.stderr.write(`\n*** SKIPPED: tests in a real browser, because ${reason} ***\n\n`)
  return false
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ['--no-sandbox', '--disable-background-networking'] })
}

export interface ServedPage {
  readonly url: string
  close(): Promise<void>
}

/** The example's page, served as its README says. */
export async function servePage(options: { readonly gateway: string; readonly bundle: string }): Promise<ServedPage> {
  const { gateway, bundle } = options
  const script = join(PROJECT, 'examples', 'web', 'serve.mjs')
  const server = spawn(process.execPath, [script, '--port', '0', '--gateway', gateway, '--bundle', bundle], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface(server.stdout).once('line', resolve)
    server.once('exit', () => reject(new Error('the server of the page ended before it listened')))
  })
  return {
    url,
    close: async () => {
      server.kill()
      await exited
    },
  }
}
