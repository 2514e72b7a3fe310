import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { SCHEMAS } from '../../cli/commands/schemas.ts'
import { tail } from '../../cli/log-tools/tail.ts'
import { type EventReading, withEvents } from '../../cli/schemas/event-reading.ts'
import { openRegistry } from '../../cli/schemas/registry.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import { resolveSettings } from '../../cli/settings/resolve.ts'
import { systemClock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { systemRandom } from '../../core/random.ts'
import { registryForTests, startRegistry } from '../support/registry.ts'
import { Lab } from '../support/worker-harness.ts'
import { Build, event, shipped } from './support.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-schemas-'))
})
afterEach(() => rm(dir, { recursive: true }))

interface Ran {
  readonly code: number
  readonly out: string
  readonly notes: string
  readonly error: string
}

/** `onceward schemas …`, in this process. */
async function schemas(line: string): Promise<Ran> {
  const [name = '', ...rest] = line.split(' ')
  const command = SCHEMAS.find((each) => each.name === `schemas ${name}`)
  if (command === undefined) throw new Error(`no command schemas ${name}`)
  let [out, notes, error, code] = ['', '', '', 0]
  try {
    const settings = await resolveSettings(command, COMMANDS, readFlags(command, rest), {
      environment: {},
      readFile: () => Promise.reject(new Error('no file of settings')),
    })
    const answer = await command.run({
      settings,
      signal: new AbortController().signal,
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
      terminal: {
        print: (text) => Promise.resolve(void (out += text)),
        note: (text) => void (notes += `${text}\n`),
        progress: { isTty: false, columns: 80, write: () => undefined },
      },
    })
    code = answer ?? 0
  } catch (problem) {
    if (!(problem instanceof OncewardError)) throw problem
    error = `${problem.code}: ${problem.message}`
    code = 1
  }
  return { code, out, notes, error }
}

const IN = (): string => `--registry-dir ${join(dir, 'registry')}`

interface OwnFile {
  readonly fields: readonly object[]
  readonly more?: object
  readonly file?: string
}

/** Writes the own event's schema; answers the flag. */
async function own({ fields, more = {}, file = 'level_up.avsc' }: OwnFile, folder = 'own'): Promise<string> {
  await mkdir(join(dir, folder), { recursive: true })
  const schema = { type: 'record', name: 'level_up', namespace: 'acme', fields, ...more }
  await writeFile(join(dir, folder, file), JSON.stringify(schema))
  return `--schemas ${join(dir, folder)}`
}

const LEVEL = { name: 'level', type: 'int' }
const KIND = { name: 'kind', type: { type: 'enum', name: 'kind', symbols: ['GOLD', 'SILVER'] }, default: 'GOLD' }

describe('schemas register', () => {
  test('shows what it would do, does it with --yes, and has nothing to do then', async () => {
    const dry = await schemas(`register ${IN()}`)
    expect(dry.out).toMatch(/events\.raw-onceward\.events\.bet_v1 +1\.0\.0 +1 +- +to be registered/)
    expect(dry.notes).toBe('19 would be registered; do it with --yes\n')
    expect((await schemas(`list ${IN()}`)).error).toMatch(
      /^ONCEWARD_E_FILE_UNREADABLE: --registry-dir: there is no schema registry/,
    )
    const done = await schemas(`register ${IN()} --yes`)
    expect(done.out).toMatch(/events\.raw-onceward\.events\.bet_v1 +1\.0\.0 +1 +1 +registered/)
    const again = await schemas(`register ${IN()} --yes`)
    expect(again.out).not.toMatch(/ registered$/m)
    expect(again.notes).toBe('everything is registered already\n')
  })

  test('is of one mind with the prefix of the installation', async () => {
    const { out } = await schemas(`register ${IN()} --prefix eu. --yes`)
    expect(out).toMatch(/^eu\.events\.raw-onceward\.events\.win_v1 /m)
    expect((await schemas(`list ${IN()}`)).out).toMatch(/onceward\.events\.win_v1 +- +- +1\.0\.0 +not registered/)
  })

  test('refuses what cannot read older events, names it, and registers nothing', async () => {
    await schemas(`register ${IN()} ${await own({ fields: [LEVEL, KIND] })} --yes`)
    const flag = await own({
      fields: [
        { ...LEVEL, type: 'string' },
        { ...KIND, type: { ...KIND.type, symbols: ['GOLD'] } },
        { name: 'season', type: 'string' },
      ],
    })
    const refused = await schemas(`register ${IN()} ${flag} --yes`)
    expect(refused.error).toMatch(/^ONCEWARD_E_SCHEMA_INCOMPATIBLE: 3 changes are incompatible:/)
    expect(refused.error).toContain(
      'level_up.avsc: payload.level was int, and is string now; keep int or take long or float or double',
    )
    expect(refused.error).toContain('level_up.avsc: payload.kind has lost the symbol SILVER; keep it')
    expect(refused.error).toContain('level_up.avsc: payload.season is not in older versions and has no default')
    expect(refused.error).toContain('(cannot read version 1 of events.raw-acme.level_up_v1)')
    expect(refused.error).toContain('write "version": "2.0.0" into it')
    expect((await schemas(`list ${IN()} ${flag}`)).out).not.toMatch(/level_up_v1 +2/)
  })

  test('takes it as a new major, beside the old one', async () => {
    await schemas(`register ${IN()} ${await own({ fields: [LEVEL] })} --yes`)
    const flag = await own({
      fields: [{ ...LEVEL, type: 'string' }],
      more: { version: '2.0.0' },
      file: 'level_up.v2.avsc',
    })
    const done = await schemas(`register ${IN()} ${flag} --yes --json`)
    const { schemas: lines } = JSON.parse(done.out) as { schemas: { subject: string; outcome: string }[] }
    expect(lines.filter(({ subject }) => subject.includes('level_up'))).toMatchObject([
      { subject: 'events.raw-acme.level_up_v1', outcome: 'unchanged' },
      { subject: 'events.raw-acme.level_up_v2', outcome: 'registered', version: 1, event_version: '2.0.0' },
    ])
  })

  test('a compatible change is a new version', async () => {
    await schemas(`register ${IN()} ${await own({ fields: [LEVEL] })} --yes`)
    const flag = await own({ fields: [LEVEL, KIND], more: { version: '1.1.0' } })
    expect((await schemas(`check ${IN()} ${flag}`)).notes).toMatch(
      /^20 schemas, of which 19 are registered as they are, 1 would be a new version and 0 a new subject/,
    )
    expect((await schemas(`register ${IN()} ${flag}`)).out).toMatch(/level_up_v1 +1\.1\.0 +2 +- +to be registered/)
    await schemas(`register ${IN()} ${flag} --yes`)
    const { out } = await schemas(`list ${IN()} ${flag}`)
    expect(out).toMatch(/level_up_v1 +1 +\d+ +1\.0\.0 +read/)
    expect(out).toMatch(/level_up_v1 +2 +21 +1\.1\.0 +in use/)
    expect((await schemas(`list ${IN()}`)).out).toMatch(/level_up_v1 +2 +21 +1\.1\.0 +not known to it/)
  })
})

describe('schemas check', () => {
  test('compares with another folder, and exits with 1 where something cannot be read', async () => {
    await own({ fields: [LEVEL, { name: 'gone', type: 'long' }] }, 'old')
    const fine = await schemas(`check ${await own({ fields: [LEVEL] })} --against ${join(dir, 'old')}`)
    expect(fine).toMatchObject({ code: 0, out: '', error: '' })
    const flag = await own({ fields: [{ name: 'stage', type: 'int' }] })
    const broken = await schemas(`check ${flag} --against ${join(dir, 'old')}`)
    expect(broken.code).toBe(1)
    expect(broken.out).toMatch(/^level_up\.avsc: payload\.stage .*if it was called level, name that in "aliases"/)
    expect(broken.notes).toMatch(/^one change is incompatible; mend it, or raise the major version/)
    const { out } = await schemas(`check ${flag} --against ${join(dir, 'old')} --json`)
    expect(JSON.parse(out)).toMatchObject({
      compatible: false,
      findings: [{ file: 'level_up.avsc', field: 'payload.stage' }],
    })
  })

  test('an event that nobody declares any more is named', async () => {
    await own({ fields: [LEVEL] }, 'old')
    const { code, out } = await schemas(`check --against ${join(dir, 'old')}`)
    expect(code).toBe(1)
    expect(out).toMatch(
      /^level_up\.avsc: declares major 1 of the event "level_up", which nothing does any more; keep the file/,
    )
  })

  test('a change of the envelope is laid at its door', async () => {
    const envelope = JSON.parse(shipped.find(({ name }) => name === 'envelope.avsc')?.text ?? '') as {
      fields: object[]
    }
    await mkdir(join(dir, 'changed'))
    envelope.fields.push({ name: 'tenant', type: 'string' })
    await writeFile(join(dir, 'changed', 'envelope.avsc'), JSON.stringify(envelope))
    await mkdir(join(dir, 'empty'))
    const { out } = await schemas(`check --schemas ${join(dir, 'changed')} --against ${join(dir, 'empty')}`)
    expect(out).toMatch(/^envelope\.avsc: tenant is not in older versions and has no default/m)
  })

  test.each([
    ['check', /^ONCEWARD_E_USAGE: name the schema registry/],
    ['list --registry http://x --registry-dir y', /^ONCEWARD_E_USAGE: there is one schema registry/],
    ['list --registry-dir y --registry-user u', /^ONCEWARD_E_USAGE: the --registry-\.\.\. settings go with --registry/],
    [
      'list --registry http://x --registry-user u',
      /^ONCEWARD_E_USAGE: --registry-user goes with --registry-password-file/,
    ],
    ['check --against a --registry http://x', /^ONCEWARD_E_USAGE: compare with one thing/],
  ])('%s is wrong usage', async (line, says) => {
    expect((await schemas(line)).error).toMatch(says)
  })
})

test.skipIf(!registryForTests().available)('the three go together with a real registry', async () => {
  const server = await startRegistry()
  try {
    const at = `--registry ${server.url}`
    await schemas(`register ${at} ${await own({ fields: [LEVEL] })} --yes`)
    expect((await schemas(`register ${at} ${await own({ fields: [LEVEL] })}`)).notes).toBe(
      'everything is registered already\n',
    )
    const flag = await own({ fields: [LEVEL, { name: 'season', type: 'string' }] })
    expect((await schemas(`check ${at} ${flag}`)).out).toContain('payload.season is not in older versions')
    expect((await schemas(`register ${at} ${flag} --yes`)).error).toMatch(/^ONCEWARD_E_SCHEMA_INCOMPATIBLE/)
    expect((await schemas(`list ${at}`)).out).toMatch(/onceward\.events\.bet_v1 +1 +\d+ +1\.0\.0 +in use/)
    const settings = {
      registry: server.url,
      registryDir: undefined,
      registryUser: undefined,
      registryPasswordFile: undefined,
      registryCaFile: undefined,
    }
    const registry = await openRegistry(settings, { clock: systemClock })
    expect(await registry?.compatibility('events.raw-onceward.events.bet_v1')).toBe('BACKWARD_TRANSITIVE')
    await registry?.close()
  } finally {
    await server.stop()
  }
})

test('tail shows events in Avro as JSON where it knows their schemas', async () => {
  await schemas(`register ${IN()} --yes`)
  const lab = await Lab.open({ partitions: 1 })
  const bet = event('bet', { bet: 1 })
  const producer = await lab.log.producer()
  const value = new Build().write(bet, 1)
  await producer.send([{ topic: lab.topics.events, partition: 0, key: 'u_1', value, timestamp: 0 }])
  await producer.close()
  const settings = {
    schemas: undefined,
    registry: undefined,
    registryDir: join(dir, 'registry'),
    registryUser: undefined,
    registryPasswordFile: undefined,
    registryCaFile: undefined,
  }
  const lines: string[] = []
  const shown = async ({ avro, over }: EventReading): Promise<void> => {
    const parts = { clock: systemClock, signal: new AbortController().signal, avro: avro?.decoder }
    const print = (text: string): Promise<void> => Promise.resolve(void lines.push(text))
    const log = over(lab.log, lab.topics.events)
    await tail({ topic: lab.topics.events, from: 'beginning', toEnd: true }, { ...parts, log, print })
  }
  await withEvents({ settings, clock: systemClock, logger: silentLogger }, shown)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ key: 'u_1', value: bet, schema_id: 1 })
  await lab.close()
  expect(await readFile(join(dir, 'registry', 'ids', '1.json'), 'utf8')).toContain('onceward.events.bet_v1')
})
