import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { httpWallet } from '../../connectors/wallet/http-wallet.ts'
import { systemClock } from '../../core/clock.ts'
import { runCli, startCli } from '../cli/process.ts'
import { cleaning, order, partnerSpec, SECRET } from './support.ts'

const { keep, clean } = cleaning()
afterEach(clean)

function folder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'onceward-partner-'))
  keep(async () => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'secret'), `${SECRET}\n`)
  return dir
}

test('the simulator is killed and started again: it has paid once, and its statement has both lives', async () => {
  const dir = folder()
  const args = ['partner', '--port', '0', '--secret-file', join(dir, 'secret'), '--state', join(dir, 'paid.state')]
  const statement = join(dir, 'statement.ndjson')
  const live = async (more: readonly string[]): Promise<{ cli: ReturnType<typeof startCli>; url: string }> => {
    const cli = startCli([...args, ...more])
    keep(async () => void cli.child.kill('SIGKILL'))
    await cli.until(({ stdout }) => stdout.includes('\n'))
    return { cli, url: (JSON.parse(cli.stdout()) as { url: string }).url }
  }
  const credit = async (url: string, n: number): Promise<string> => {
    const client = httpWallet({ spec: partnerSpec(url, { concurrency: 1 }), clock: systemClock })
    keep(() => client.close())
    return (await client.credit(order(n))).kind
  }
  const first = await live(['--lose-rate', '100%'])
  // Paid, and the answer lost.
  expect(await credit(first.url, 1)).toBe('unavailable')
  first.cli.child.kill('SIGKILL')
  await first.cli.ended
  const second = await live(['--statement-file', statement, '--currencies', 'EUR', '--down', '1ms/24h'])
  expect(await credit(second.url, 1)).toBe('paid')
  expect(await credit(second.url, 2)).toBe('paid')
  second.cli.child.kill('SIGTERM')
  const { code, stdout } = await second.cli.ended
  expect(code).toBe(0)
  expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ distinct: 2, repeats: 1, calls: 2 })
  const lines = readFileSync(statement, 'utf8').trim().split('\n')
  expect(lines.map((line) => (JSON.parse(line) as { request_id: string }).request_id)).toEqual([
    order(1).requestId,
    order(2).requestId,
  ])
})

test.each([
  [['--down', '10s'], /10s/],
  [['--down', '60s/60s'], /not possible/],
  [['--fail-rate', '0.6', '--lose-rate', '0.6'], /add up to/],
  [['--late-rate', '2'], /from 0 to 1/],
])('%j is refused, with what would be right', async (more, why) => {
  const { code, stderr } = await runCli(['partner', '--port', '0', '--secret-file', join(folder(), 'secret'), ...more])
  expect(stderr).toMatch(why)
  expect(code).toBe(2)
})
