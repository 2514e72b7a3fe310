import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { commandPage, overview } from '../../cli/help.ts'
import { runCli, startCli } from './process.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-cli-'))
  await writeFile(join(dir, 'secret'), 'sesame\n')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('help', () => {
  test('the overview lists every command once, with its summary', () => {
    const page = overview(COMMANDS, 100)
    for (const { name, summary } of COMMANDS) {
      expect(page.split('\n').filter((line) => line.startsWith(`  ${name}  `))).toHaveLength(1)
      expect(page.replaceAll(/\s+/g, ' ')).toContain(summary)
    }
    expect(page.split('\n').filter((line) => line.length > 100)).toEqual([])
  })

  test.each(COMMANDS.map((command) => [command.name, command] as const))(
    'the page of %s has its usage, every setting with variable and default, and examples that parse',
    (name, command) => {
      const page = commandPage(command, 100)
      const flat = page.replaceAll(/\s+/g, ' ')
      expect(page).toContain(`Usage: onceward ${name}`)
      for (const setting of command.settings) {
        const variable = `ONCEWARD_${setting.name.toUpperCase().replaceAll('-', '_')}`
        // What agrees to something is said with each call anew: a variable for it would be refused.
        expect(new RegExp(`${variable}\\b`).test(flat)).toBe(setting.spec.eachTime !== true)
        if (setting.spec.default !== undefined) expect(flat).toContain(`default ${setting.spec.default}`)
      }
      for (const { line } of command.examples) {
        expect(line).toContain(`onceward ${name}`)
        const flags = [...line.matchAll(/--([a-z-]+)/g)].map(([, flag = '']) => flag)
        const names = command.settings.map((setting) => setting.name)
        expect(flags.filter((flag) => !names.includes(flag))).toEqual([])
      }
    },
  )

  test('--help goes to stdout and is fine; no command at all goes to stderr and is wrong usage', async () => {
    const [asked, short, bare] = await Promise.all([runCli(['--help']), runCli(['-h']), runCli([])])
    expect(asked).toMatchObject({ code: 0, stderr: '' })
    expect(asked.stdout).toContain('Usage: onceward <command>')
    expect(short).toMatchObject({ code: 0, stdout: asked.stdout })
    expect(bare).toMatchObject({ code: 2, stdout: '' })
    expect(bare.stderr).toContain('Usage: onceward <command>')
  })

  test('a command tells about itself in three ways, even where the rest is wrong', async () => {
    const pages = await Promise.all([
      runCli(['help', 'topics', 'create']),
      runCli(['topics', 'create', '--help']),
      runCli(['topics', 'create', '--nonsense', '-h']),
    ])
    for (const page of pages) expect(page).toMatchObject({ code: 0, stderr: '', stdout: pages[0]?.stdout })
    expect(pages[0]?.stdout).toContain('onceward topics create --brokers localhost:9092 --partitions 4')
  })

  test('--version prints the version alone', async () => {
    const { code, stdout } = await runCli(['--version'])
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect(code).toBe(0)
  })
})

describe('what is wrong is told on stderr, with exit code 2', () => {
  test.each([
    [['ingst'], /there is no command ingst; did you mean ingest\?/],
    [['topics'], /onceward topics needs one word more: topics create/],
    [['topics', 'crate'], /topics needs one word more: topics create/],
    [['help', 'nothing'], /there is no command nothing/],
    [['--brokers', 'x:1'], /the first word must be a command/],
    [
      ['ingest', '--brokerz', 'x:1', '--events', '-'],
      /no flag --brokerz; did you mean --brokers\?[\s\S]*needs --brokers/,
    ],
    [['tail', 'scores', '--brokers', 'nowhere'], /--brokers: "nowhere" is not a broker; write HOST:PORT/],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args)
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/\nONCEWARD_E_[A-Z_]+: .*see onceward /)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
  })

  test('a file that is not there fails with 1, in one paragraph without a stack', async () => {
    const { code, stderr } = await runCli(['ingest', '--brokers', '127.0.0.1:1', '--events', join(dir, 'gone.ndjson')])
    expect(stderr).toMatch(/gone\.ndjson/)
    expect(stderr).toMatch(/\nONCEWARD_E_FILE_UNREADABLE: /)
    expect(stderr).not.toMatch(/ {4}at /)
    expect(code).toBe(1)
  })

  test('an unknown variable is named', async () => {
    const { code, stderr } = await runCli(['partner', '--secret-file', join(dir, 'secret')], {
      environment: { ONCEWARD_FAILRATE: '1' },
    })
    expect(stderr).toMatch(/ONCEWARD_FAILRATE .*did you mean ONCEWARD_FAIL_RATE\?/)
    expect(code).toBe(2)
  })
})

describe('a service', () => {
  const partner = (): string[] => ['partner', '--port', '0', '--secret-file', join(dir, 'secret')]

  test.each(['SIGINT', 'SIGTERM'] as const)('stops cleanly on %s, which is success', async (signal) => {
    const cli = startCli(partner())
    await cli.until(({ stdout }) => stdout.includes('"url"'))
    cli.child.kill(signal)
    const { code, stdout } = await cli.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ calls: 0, distinct: 0 })
  })

  test('says that its port is taken, and what to do', async () => {
    const first = startCli(partner())
    await first.until(({ stdout }) => stdout.includes('"url"'))
    const { url } = JSON.parse(first.stdout()) as { url: string }
    const { code, stderr } = await runCli([...partner(), `--port=${new URL(url).port}`])
    expect(stderr).toMatch(/cannot listen on .*EADDRINUSE.*choose another/)
    expect(code).toBe(2)
    first.child.kill()
    expect((await first.ended).code).toBe(0)
  })
})

test('a reader that goes away ends a command quietly', async () => {
  const cli = startCli(['--help'])
  cli.child.stdout?.destroy()
  const { code, stderr } = await cli.ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
})
