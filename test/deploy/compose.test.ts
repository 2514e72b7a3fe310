import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { type Invocation, invocationOf } from './command-line.ts'
import { mountsOf, ownServices, readCompose, type Service } from './compose.ts'
import { imageEnvironment } from './image.ts'
import { isThere, PROJECT } from './project.ts'

const compose = readCompose()
const own = ownServices(compose)
const secrets = mkdtempSync(join(tmpdir(), 'onceward-secrets-'))
afterAll(() => rmSync(secrets, { recursive: true, force: true }))

const makeSecrets = (): string => execFileSync('sh', [join(PROJECT, 'deploy', 'make-secrets.sh'), secrets]).toString()
const firstTime = makeSecrets()

/** A path within the container → the secret that is mounted there. */
function secretAt(path: string): string {
  const name = path.replace('/run/secrets/', '')
  const file = compose.secrets[name]?.file
  if (file === undefined) throw new Error(`no secret is mounted at ${path}`)
  return readFileSync(join(secrets, basename(file)), 'utf8')
}

function invocation(service: Service): Promise<Invocation> {
  return invocationOf(service.command ?? [], {
    environment: { ...imageEnvironment(), ...service.environment },
    readFile: async (path) => secretAt(path),
  })
}

function named(name: string): Service {
  const service = compose.services[name]
  if (service === undefined) throw new Error(`compose has no service ${name}`)
  return service
}

async function settingsOf(name: string): Promise<Readonly<Record<string, unknown>>> {
  return (await invocation(named(name))).settings
}

describe('the command lines', () => {
  test.each(own)('%s: the command line accepts what it is given', async (_, service) => {
    const { command } = await invocation(service)
    expect(service.command?.join(' ')).toMatch(new RegExp(`^${command.name}\\b`))
  })

  test('a gateway, two workers, a sink and a partner are among them', async () => {
    const names = await Promise.all(own.map(async ([, service]) => (await invocation(service)).command.name))
    expect(names.toSorted()).toEqual(['gateway', 'ingest', 'partner', 'sink', 'topics create', 'worker', 'worker'])
  })

  test('the services mean the same application, cluster and secret', async () => {
    const [one, two, sink, partner] = await Promise.all(['worker-1', 'worker-2', 'sink', 'partner'].map(settingsOf))
    expect(two?.['application']).toBe(one?.['application'])
    expect(sink?.['application']).toBe(one?.['application'])
    expect(sink?.['secretFile']).toBe(partner?.['secretFile'])
    const advertised = named('kafka').environment?.['KAFKA_ADVERTISED_LISTENERS'] ?? ''
    for (const [name, service] of own) {
      const { settings } = await invocation(service)
      for (const broker of (settings['brokers'] as string[] | undefined) ?? []) {
        expect(`${name}: ${advertised}`).toContain(`://${broker}`)
      }
    }
  })

  test('the sink finds the partner and the database under the names that they have', async () => {
    const [sink, partner] = await Promise.all(['sink', 'partner'].map(settingsOf))
    const wallet = new URL(String(sink?.['wallet']))
    expect([wallet.hostname, Number(wallet.port)]).toEqual(['partner', partner?.['port']])
    expect(partner?.['host']).toBe('0.0.0.0')
    const db = new URL(String(sink?.['db']))
    const { POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD_FILE = '' } = named(db.hostname).environment ?? {}
    expect([db.username, db.pathname]).toEqual([POSTGRES_USER, `/${POSTGRES_DB}`])
    expect(db.password).toBe(secretAt(POSTGRES_PASSWORD_FILE))
  })

  test('each worker has a volume for its state that no other service has', async () => {
    const stores = await Promise.all(
      ['worker-1', 'worker-2'].map(async (name) => {
        const { state } = await settingsOf(name)
        return mountsOf(named(name)).find(({ target }) => target === state)?.source ?? `none at ${String(state)}`
      }),
    )
    for (const store of stores) {
      const users = Object.values(compose.services).filter((service) =>
        mountsOf(service).some(({ source }) => source === store),
      )
      expect({ store, users: users.length }).toEqual({ store, users: 1 })
      expect(Object.keys(compose.volumes)).toContain(store)
    }
  })

  test('files and folders that they read are mounted from ones that exist', async () => {
    for (const [name, service] of own) {
      const { settings } = await invocation(service)
      for (const setting of ['rules', 'events', 'schemas']) {
        const path = settings[setting]
        if (typeof path !== 'string') continue
        const mount = mountsOf(service).find(({ target }) => path === target || path.startsWith(`${target}/`))
        const onHost = mount === undefined ? undefined : path.replace(mount.target, mount.source)
        expect({ name, path, there: onHost !== undefined && isThere(onHost) }).toEqual({ name, path, there: true })
      }
    }
  })
})

describe('the services', () => {
  const isOneShot = (service: Service): boolean => service.restart === 'no'
  /** The image's own check counts too: that of Onceward's image asks for readiness. */
  const hasHealth = ({ image, healthcheck }: Service): boolean =>
    healthcheck?.disable !== true && (healthcheck?.test !== undefined || image.startsWith('onceward:'))

  test.each(Object.entries(compose.services))('%s runs for ever and tells its health, or runs once', (_, service) => {
    expect(hasHealth(service)).toBe(!isOneShot(service))
    expect(service.restart).toMatch(/^(no|unless-stopped)$/)
  })

  test.each(Object.entries(compose.services))(
    '%s waits for what it needs in a way that can come true',
    (_, service) => {
      for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
        const right = isOneShot(named(name)) ? 'service_completed_successfully' : 'service_healthy'
        expect({ name, condition }).toEqual({ name, condition: right })
      }
    },
  )

  test.each(Object.entries(compose.services))(
    '%s has a pinned image and is reached from this machine alone',
    (_, service) => {
      expect(service.image).toMatch(/^[\w./-]+:(local|v?\d[\w.-]*)$/)
      for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/)
    },
  )

  test.each(own)('%s cannot write to its image, and is given time to stop where it runs for ever', (_, service) => {
    expect(service.read_only).toBe(true)
    expect(service.build).toMatchObject({ context: '.', dockerfile: 'deploy/Dockerfile' })
    if (!isOneShot(service)) expect(service.stop_grace_period).toBeDefined()
  })

  test('every volume and secret is declared, and used', () => {
    const sources = Object.values(compose.services).flatMap((service) => mountsOf(service).map(({ source }) => source))
    const volumes = sources.filter((source) => !source.startsWith('.'))
    expect([...new Set(volumes)].toSorted()).toEqual(Object.keys(compose.volumes).toSorted())
    const used = Object.values(compose.services).flatMap((service) => service.secrets ?? [])
    expect([...new Set(used)].toSorted()).toEqual(Object.keys(compose.secrets).toSorted())
    expect(sources.filter((source) => source.startsWith('.') && !isThere(source))).toEqual([])
  })

  test.each(Object.entries(compose.services))('%s is given the secrets that it names', (_, service) => {
    const words = [...(service.command ?? []), ...Object.values(service.environment ?? {})].join(' ')
    const read = [...words.matchAll(/\/run\/secrets\/([\w-]+)/g)].flatMap(([, name]) => name ?? [])
    expect([...new Set(read)].toSorted()).toEqual((service.secrets ?? []).toSorted())
  })
})

describe('the secrets', () => {
  test('every one that compose mounts is made, at random, and none stands in the repository', () => {
    const made = readdirSync(secrets).filter((name) => name !== '.gitignore')
    expect(made.toSorted()).toEqual(
      Object.values(compose.secrets)
        .map(({ file }) => basename(file))
        .toSorted(),
    )
    expect(firstTime.match(/^created /gm)).toHaveLength(made.length)
    for (const name of made) expect(readFileSync(join(secrets, name), 'utf8')).toMatch(/[0-9a-f]{48}/)
    expect(new Set(made.map((name) => /[0-9a-f]{48}/.exec(readFileSync(join(secrets, name), 'utf8'))?.[0])).size).toBe(
      // The sink's settings hold the password of Postgres.
      made.length - 1,
    )
    expect(readFileSync(join(secrets, '.gitignore'), 'utf8')).toBe('*\n')
  })

  test('making them again changes none', () => {
    const before = readFileSync(join(secrets, 'wallet.secret'), 'utf8')
    expect(makeSecrets()).not.toMatch(/created/)
    expect(readFileSync(join(secrets, 'wallet.secret'), 'utf8')).toBe(before)
  })
})
