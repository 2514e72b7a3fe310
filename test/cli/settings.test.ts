import * as fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { readConfigFile, sectionOf } from '../../cli/settings/config-file.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import { resolveSettings } from '../../cli/settings/resolve.ts'
import { type Setting, setting } from '../../cli/settings/setting.ts'
import { GLOBAL_SETTINGS } from '../../cli/settings/shared.ts'
import { OncewardError } from '../../core/errors.ts'

const SETTINGS = [
  setting('brokers', { type: 'list', required: true, help: 'brokers', placeholder: 'HOST:PORT,...' }),
  setting('partitions', { type: 'integer', min: 1, max: 100, default: '4', help: 'partitions' }),
  setting('fail-rate', { type: 'rate', help: 'rate' }),
  setting('wait-for', { type: 'duration', min: 100, help: 'duration' }),
  setting('wait', { type: 'flag', help: 'flag' }),
  setting('agreed', { type: 'flag', eachTime: true, help: 'agrees' }),
  setting('db', { type: 'url', protocols: ['postgres'], secret: true, help: 'database' }),
  setting('mode', { type: 'choice', choices: ['fast', 'safe'], help: 'mode' }),
  setting('token', { type: 'text', secret: true, pattern: { test: /^t_/, right: 'a token' }, help: 'token' }),
  setting('speed', { type: 'number', help: 'speed' }),
  setting('topic', { type: 'text', positional: true, placeholder: 'TOPIC', help: 'topic' }),
]
const COMMAND = { name: 'try it', settings: [...SETTINGS, ...GLOBAL_SETTINGS] }
const OTHER = { name: 'other', settings: [setting('wallet', { type: 'url', help: 'wallet' }), ...GLOBAL_SETTINGS] }

interface Sources {
  readonly argv?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly yaml?: string
}

function resolve({ argv = [], environment = {}, yaml }: Sources): Promise<Record<string, unknown>> {
  const all = yaml === undefined ? argv : [...argv, '--config', 'set.yaml']
  return resolveSettings(COMMAND, [COMMAND, OTHER], readFlags(COMMAND, all), {
    environment,
    readFile: (path) =>
      path === 'set.yaml' && yaml !== undefined ? Promise.resolve(yaml) : Promise.reject(new Error('ENOENT')),
  })
}

async function failure(sources: Sources): Promise<OncewardError> {
  try {
    await resolve(sources)
  } catch (error) {
    if (error instanceof OncewardError) return error
    throw error
  }
  throw new Error('it was accepted')
}

const B = ['--brokers', 'b:1']

describe('where a value comes from', () => {
  test('what agrees to something is said with each call, never by a variable or a file', async () => {
    expect(await resolve({ argv: [...B, '--agreed'] })).toMatchObject({ agreed: true })
    for (const source of [{ environment: { ONCEWARD_AGREED: 'true' } }, { yaml: 'agreed: true' }]) {
      const refused = await failure({ argv: B, ...source })
      expect(refused).toMatchObject({ code: 'ONCEWARD_E_SETTING_INVALID' })
      expect(refused.message).toMatch(/(ONCEWARD_AGREED|set\.yaml:1:9: agreed): --agreed is given with each call/)
    }
  })

  test('whatever changes money without a question is such a setting', () => {
    const agreeing = ['yes', 'override', 'not-paid']
    const found = COMMANDS.flatMap(({ settings }) => settings)
    expect(new Set(found.filter(({ spec }) => spec.eachTime === true).map(({ name }) => name))).toEqual(
      new Set([...agreeing, 'cost']),
    )
    expect(found.filter(({ name, spec }) => agreeing.includes(name) && spec.eachTime !== true)).toEqual([])
  })

  test('a flag wins over a variable, a variable over the section, the section over the top, the top over the default', async () => {
    const yaml = 'partitions: 2\ntry-it:\n  partitions: 3\n'
    const environment = { ONCEWARD_PARTITIONS: '5' }
    expect(await resolve({ argv: [...B, '--partitions=6'], environment, yaml })).toMatchObject({ partitions: 6 })
    expect(await resolve({ argv: B, environment, yaml })).toMatchObject({ partitions: 5 })
    expect(await resolve({ argv: B, yaml })).toMatchObject({ partitions: 3 })
    expect(await resolve({ argv: B, yaml: 'partitions: 2\n' })).toMatchObject({ partitions: 2 })
    expect(await resolve({ argv: B })).toMatchObject({ partitions: 4 })
  })

  test('a section wins over the top wherever it stands in the file', async () => {
    const yaml = 'try-it:\n  partitions: 3\npartitions: 2\n'
    expect(await resolve({ argv: B, yaml })).toMatchObject({ partitions: 3 })
  })

  test('every source reads every value in the same way', async () => {
    const texts: Record<string, fc.Arbitrary<string>> = {
      partitions: fc.integer({ min: -5, max: 110 }).map(String),
      'fail-rate': fc.constantFrom('0', '0.25', '10%', '1', '1.5', 'x', '.5'),
      'wait-for': fc.constantFrom('250ms', '20s', '5m', '1', '50ms', 'soon'),
      mode: fc.constantFrom('fast', 'safe', 'slow'),
      speed: fc.constantFrom('1', '1e3', '-0.5', 'NaN', 'Infinity', '0x10'),
      wait: fc.constantFrom('true', 'false', 'yes', 'off', 'maybe'),
    }
    const pair = fc
      .constantFrom(...Object.keys(texts))
      .chain((name) => fc.tuple(fc.constant(name), texts[name] ?? fc.constant('')))
    await fc.assert(
      fc.asyncProperty(pair, async ([name, text]) => {
        const outcome = async (sources: Sources): Promise<unknown> =>
          resolve(sources).then(
            (values) => values[name.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase())],
            (error: unknown) => (error instanceof OncewardError ? error.code : error),
          )
        const variable = `ONCEWARD_${name.replaceAll('-', '_').toUpperCase()}`
        const fromFlag = await outcome({ argv: [...B, `--${name}=${text}`] })
        expect(await outcome({ argv: B, environment: { [variable]: text } })).toEqual(fromFlag)
        expect(await outcome({ argv: B, yaml: `${name}: ${text}\n` })).toEqual(fromFlag)
        expect(await outcome({ argv: B, yaml: `try-it: {${name}: "${text}"}\n` })).toEqual(fromFlag)
      }),
      { numRuns: 60 },
    )
  })

  test('flags are written --x y, --x=y, --x and --no-x; a list adds up, of anything else the last one counts', async () => {
    const argv = [
      '--brokers',
      'a:1,b:2',
      '--brokers=c:3',
      '--wait',
      '--partitions',
      '7',
      '--partitions=8',
      '--speed',
      '-2.5',
    ]
    expect(await resolve({ argv })).toMatchObject({
      brokers: ['a:1', 'b:2', 'c:3'],
      wait: true,
      partitions: 8,
      speed: -2.5,
    })
    expect(await resolve({ argv: [...B, '--no-wait'], environment: { ONCEWARD_WAIT: 'true' } })).toMatchObject({
      wait: false,
    })
  })

  test('YAML lists, texts that look like numbers, and an empty file are taken as they are', async () => {
    const yaml = 'brokers: [a:1, b:2]\ntopic: 1.0\n'
    expect(await resolve({ yaml })).toMatchObject({ brokers: ['a:1', 'b:2'], topic: '1.0' })
    expect(await resolve({ argv: B, yaml: '# nothing\n' })).toMatchObject({ partitions: 4 })
  })

  test('a positional argument may also be a flag or a variable', async () => {
    expect(await resolve({ argv: ['scores', ...B] })).toMatchObject({ topic: 'scores' })
    expect(await resolve({ argv: [...B, '--topic', 'dlq'] })).toMatchObject({ topic: 'dlq' })
  })

  test('what only another command knows may stand in variables and at the top of the file', async () => {
    const environment = { ONCEWARD_WALLET: 'http://w', ONCEWARD_SHARED: '/data', PATH: 'x' }
    expect(await resolve({ argv: B, environment, yaml: 'wallet: http://w\nother:\n  wallet: http://v\n' })).toBeTruthy()
  })

  test('variables that Kubernetes makes for a Service of this name are none of ours', async () => {
    const environment = {
      ONCEWARD_SERVICE_HOST: '10.0.0.1',
      ONCEWARD_SERVICE_PORT_HTTP: '80',
      ONCEWARD_PORT: 'tcp://10.0.0.1:80',
      ONCEWARD_WORKER_PORT_80_TCP_ADDR: '10.0.0.1',
    }
    expect(await resolve({ argv: B, environment })).toMatchObject({ partitions: 4 })
  })
})

describe('what is wrong is named, with its place and what would be right', () => {
  test.each<[string, Sources, string, RegExp]>([
    [
      'an unknown flag',
      { argv: ['scores', ...B, '--broker', 'x:1'] },
      'ONCEWARD_E_SETTING_UNKNOWN',
      /no flag --broker; did you mean --brokers\?$/,
    ],
    ['an unknown flag far from all', { argv: [...B, '--zzz'] }, 'ONCEWARD_E_SETTING_UNKNOWN', /no flag --zzz$/],
    [
      'an unknown variable',
      { argv: B, environment: { ONCEWARD_PARTITION: '4' } },
      'ONCEWARD_E_SETTING_UNKNOWN',
      /variable ONCEWARD_PARTITION .*did you mean ONCEWARD_PARTITIONS\?/,
    ],
    [
      'an unknown key',
      { argv: B, yaml: 'mode: fast\nfail_rate: 1\n' },
      'ONCEWARD_E_SETTING_UNKNOWN',
      /set\.yaml:2:1: fail_rate .*did you mean fail-rate\?/,
    ],
    [
      'an unknown key of a section',
      { argv: B, yaml: 'try-it:\n  wallet: http://w\n' },
      'ONCEWARD_E_SETTING_UNKNOWN',
      /set\.yaml:2:3: wallet is no setting of onceward try it/,
    ],
    [
      "an unknown key of another command's section",
      { argv: B, yaml: 'other:\n  mode: fast\n' },
      'ONCEWARD_E_SETTING_UNKNOWN',
      /set\.yaml:2:3: mode is no setting of onceward other/,
    ],
    [
      'a missing setting',
      {},
      'ONCEWARD_E_USAGE',
      /needs --brokers HOST:PORT,\.\.\. .*ONCEWARD_BROKERS.*"brokers: \.\.\."/,
    ],
    ['one argument too many', { argv: ['scores', 'dlq', ...B] }, 'ONCEWARD_E_USAGE', /"dlq" is one argument too many/],
    [
      'a wrong flag',
      { argv: [...B, '--partitions', 'many'] },
      'ONCEWARD_E_SETTING_INVALID',
      /^--partitions: "many" is not a whole number from 1 to 100$/,
    ],
    ['a fraction', { argv: [...B, '--partitions=1.5'] }, 'ONCEWARD_E_SETTING_INVALID', /"1\.5" is not a whole number/],
    [
      'a value out of bounds',
      { argv: B, environment: { ONCEWARD_PARTITIONS: '0' } },
      'ONCEWARD_E_SETTING_INVALID',
      /^ONCEWARD_PARTITIONS: 0 is out of bounds; write a value from 1 to 100$/,
    ],
    [
      'a wrong value in the file',
      { argv: B, yaml: 'wait: true\npartitions:   lots\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /^set\.yaml:2:15: partitions: "lots" is not/,
    ],
    [
      'a map where a value belongs',
      { argv: B, yaml: 'mode: {a: 1}\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /set\.yaml:1:1: mode must be one value/,
    ],
    [
      'a list where a value belongs',
      { argv: B, yaml: 'mode: [fast]\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /mode: a list is not allowed here/,
    ],
    [
      'a duration without a unit',
      { argv: [...B, '--wait-for', '5'] },
      'ONCEWARD_E_SETTING_INVALID',
      /"5" is not a duration; .*20s/,
    ],
    [
      'a duration out of bounds',
      { argv: [...B, '--wait-for', '5ms'] },
      'ONCEWARD_E_SETTING_INVALID',
      /5ms is out of bounds; .*at least 100ms/,
    ],
    ['a rate above one', { argv: [...B, '--fail-rate', '10'] }, 'ONCEWARD_E_SETTING_INVALID', /0\.1 or 10%/],
    ['no choice', { argv: [...B, '--mode', 'slow'] }, 'ONCEWARD_E_SETTING_INVALID', /"slow" is not one of fast, safe/],
    [
      'a flag without its value',
      { argv: ['--brokers'] },
      'ONCEWARD_E_SETTING_INVALID',
      /^--brokers needs a value: --brokers HOST:PORT,\.\.\.$/,
    ],
    [
      'a flag in place of a value',
      { argv: ['--brokers', '--wait'] },
      'ONCEWARD_E_SETTING_INVALID',
      /--brokers needs a value/,
    ],
    [
      'a value for a negated flag',
      { argv: [...B, '--no-wait=1'] },
      'ONCEWARD_E_SETTING_INVALID',
      /--no-wait takes no value/,
    ],
    [
      'an empty variable',
      { argv: B, environment: { ONCEWARD_MODE: '' } },
      'ONCEWARD_E_SETTING_INVALID',
      /ONCEWARD_MODE: it is empty/,
    ],
    [
      'a file that is no YAML',
      { argv: B, yaml: 'a: [1\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /set\.yaml:\d+:\d+: this is no YAML/,
    ],
    ['a key twice', { argv: B, yaml: 'mode: fast\nmode: safe\n' }, 'ONCEWARD_E_SETTING_INVALID', /set\.yaml:2:1: /],
    [
      'a file that is a list',
      { argv: B, yaml: '- mode\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /set\.yaml:1:1: the file must be a list of settings/,
    ],
    [
      'a section that is no map',
      { argv: B, yaml: 'try-it: 5\n' },
      'ONCEWARD_E_SETTING_INVALID',
      /set\.yaml:1:1: try-it is the section/,
    ],
    [
      'a file that is not there',
      { argv: [...B, '--config', 'gone.yaml'] },
      'ONCEWARD_E_FILE_UNREADABLE',
      /^--config: the settings file gone\.yaml cannot be read/,
    ],
  ])('%s', async (_, sources, code, message) => {
    const error = await failure(sources)
    expect(error.message).toMatch(message)
    expect(error.code).toBe(code)
  })

  test('bounds hold on both sides, and a number is finite', async () => {
    expect((await failure({ argv: [...B, '--partitions', '101'] })).message).toMatch(/101 is out of bounds/)
    expect((await failure({ argv: [...B, '--speed', '1e999'] })).message).toMatch(/"1e999" is not a number/)
    expect(await resolve({ argv: [...B, '--partitions', '100'] })).toMatchObject({ partitions: 100 })
  })

  test('several mistakes are told at once', async () => {
    const error = await failure({ argv: ['--mode', 'slow'], environment: { ONCEWARD_SPEED: 'x', ONCEWARD_X: '1' } })
    expect(error.message.split('\n')).toHaveLength(5)
    expect(error.message).toMatch(/4 things are wrong/)
  })

  test('a secret is never shown, not even when it is wrong', async () => {
    expect((await failure({ argv: [...B, '--token=hunter2'] })).message).toBe('--token: the value is not a token')
    for (const db of ['mysql://u:hunter2@h/d', 'hunter2 is no URL']) {
      expect((await failure({ argv: [...B, `--db=${db}`] })).message).not.toContain('hunter2')
      expect((await failure({ argv: B, environment: { ONCEWARD_DB: db } })).message).not.toContain('hunter2')
    }
  })
})

describe('the settings of all commands', () => {
  const each: readonly [string, Setting][] = COMMANDS.flatMap((command) =>
    command.settings.map((one): [string, Setting] => [`${command.name} --${one.name}`, one]),
  )

  test.each(each)('%s has a default that is right, and a help that is a clause', (_, one) => {
    const { spec } = one
    if (spec.default !== undefined) expect(one.read(spec.default).ok).toBe(true)
    expect(spec.help).toMatch(/^[a-z<A-Z]/)
    expect(spec.help).not.toMatch(/\.$/)
    expect(spec.required === true && spec.default !== undefined).toBe(false)
  })

  test('one name means one type, since variables and the top of the file are shared', () => {
    const types = new Map<string, string>()
    for (const [title, { name, spec }] of each) {
      // simulate takes a seed as all others do, and a range of seeds besides, which only a text can be.
      if (title === 'simulate --seed') continue
      expect([name, types.set(name, types.get(name) ?? spec.type).get(name)]).toEqual([name, spec.type])
    }
  })

  test("no setting has the name of a command's section, no command has a setting twice", () => {
    const sections = COMMANDS.map(sectionOf)
    for (const command of COMMANDS) {
      const names = command.settings.map(({ name }) => name)
      expect(names.filter((name) => sections.includes(name) || name === 'help')).toEqual([])
      expect(new Set(names).size).toBe(names.length)
    }
  })
})

describe('the examples of settings files', () => {
  const folder = fileURLToPath(new URL('../../examples/config/', import.meta.url))
  const cases = readdirSync(folder).flatMap((file) => COMMANDS.map((command) => [file, command.name, command] as const))

  test.each(cases)('%s is right for onceward %s', (file, _, command) => {
    const { given, problems } = readConfigFile(file, readFileSync(folder + file, 'utf8'), command, COMMANDS)
    expect(problems).toEqual([])
    for (const [name, { written }] of given) {
      expect([name, command.settings.find((one) => one.name === name)?.read(written).ok]).toEqual([name, true])
    }
  })
})
