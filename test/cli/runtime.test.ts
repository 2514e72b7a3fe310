import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readKafkaSecurity } from '../../cli/kafka-security.ts'
import { createProgress, progressLine } from '../../cli/progress.ts'
import { closing, type KafkaSettings, runService } from '../../cli/runtime.ts'
import { readSecret } from '../../cli/secret-file.ts'
import type { Clock } from '../../core/clock.ts'
import { runCli, startCli, startScript } from './process.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-cli-runtime-'))
  for (const name of ['ca', 'cert', 'key', 'password']) await writeFile(join(dir, name), `the ${name}\n`)
  await writeFile(join(dir, 'empty'), '\n')
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe('security of Kafka', () => {
  const none: KafkaSettings = {
    brokers: ['b:1'],
    kafkaTls: false,
    kafkaCaFile: undefined,
    kafkaCertFile: undefined,
    kafkaKeyFile: undefined,
    kafkaSasl: undefined,
    kafkaUser: undefined,
    kafkaPasswordFile: undefined,
  }
  const file = (name: string): string => join(dir, name)

  test.each<[string, () => Partial<KafkaSettings>, unknown]>([
    ['none', () => ({}), {}],
    ["TLS by the machine's authorities", () => ({ kafkaTls: true }), { ssl: true }],
    ['an authority of its own', () => ({ kafkaCaFile: file('ca') }), { ssl: { ca: 'the ca\n' } }],
    [
      'a client certificate',
      () => ({ kafkaCertFile: file('cert'), kafkaKeyFile: file('key') }),
      { ssl: { cert: 'the cert\n', key: 'the key\n' } },
    ],
    [
      'a password',
      () => ({ kafkaSasl: 'scram-sha-512', kafkaUser: 'app', kafkaPasswordFile: file('password') }),
      { sasl: { mechanism: 'scram-sha-512', username: 'app', password: 'the password' } },
    ],
  ])('%s', async (_, settings, expected) => {
    expect(await readKafkaSecurity({ ...none, ...settings() })).toEqual(expected)
  })

  test.each<[Partial<KafkaSettings>, RegExp]>([
    [{ kafkaCertFile: 'cert' }, /--kafka-cert-file goes with --kafka-key-file/],
    [{ kafkaKeyFile: 'key' }, /--kafka-key-file goes with --kafka-cert-file/],
    [{ kafkaSasl: 'plain' }, /--kafka-sasl goes with --kafka-user/],
    [{ kafkaUser: 'app' }, /--kafka-user goes with --kafka-password-file/],
    [{ kafkaUser: 'app', kafkaPasswordFile: 'password' }, /--kafka-user goes with --kafka-sasl/],
    [{ kafkaCaFile: 'gone' }, /--kafka-ca-file: gone cannot be read/],
  ])('%j is refused', async (settings, message) => {
    await expect(readKafkaSecurity({ ...none, ...settings })).rejects.toThrow(message)
  })

  test('a secret comes without its line end, and an empty one is none', async () => {
    expect(await readSecret('--secret-file', file('password'))).toBe('the password')
    await expect(readSecret('--secret-file', file('empty'))).rejects.toThrow(/--secret-file: .*empty is empty/)
  })
})

describe('while a broker does not answer', () => {
  let silent: Server
  const sockets: Socket[] = []
  let broker = ''
  beforeAll(async () => {
    // Takes connections and says nothing.
    silent = createServer((socket) => void sockets.push(socket))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const address = silent.address()
    broker = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`
  })
  afterAll(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => silent.close(resolve))
  })

  test('Ctrl-C ends a command at once, with 130', async () => {
    const connected = new Promise((resolve) => silent.once('connection', resolve))
    const cli = startCli(['tail', 'scores', '--brokers', broker])
    await connected
    cli.child.kill('SIGINT')
    const { code, stderr } = await cli.ended
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
  })

  test('SIGTERM ends a service with 0', async () => {
    const connected = new Promise((resolve) => silent.once('connection', resolve))
    const args = ['--db', 'postgres://h/d', '--wallet', 'http://h', '--secret-file', join(dir, 'password')]
    const cli = startCli(['sink', '--brokers', broker, ...args])
    await connected
    cli.child.kill('SIGTERM')
    expect((await cli.ended).code).toBe(0)
  })
})

test('a second Ctrl-C kills what does not stop', async () => {
  const cli = startScript(fileURLToPath(new URL('./stubborn.ts', import.meta.url)), [])
  await cli.until(({ stdout }) => stdout.includes('working'))
  cli.child.kill('SIGINT')
  await cli.until(({ stdout }) => stdout.includes('asked to stop'))
  cli.child.kill('SIGTERM')
  expect((await cli.ended).code).toBe(143)
})

test('an address at which nobody listens is named, and the exit code is 1', async () => {
  const { code, stderr } = await runCli([
    'lag',
    '--application',
    'a',
    '--brokers',
    '127.0.0.1:1',
    '--log-level',
    'error',
  ])
  expect(stderr).toMatch(/127\.0\.0\.1:1/)
  expect(stderr).toMatch(/\nONCEWARD_E_LOG_UNAVAILABLE: .*trying again later can help/)
  expect(code).toBe(1)
})

describe('a service', () => {
  test('is stopped by the signal, and waited for', async () => {
    const abort = new AbortController()
    const events: string[] = []
    let end: () => void = () => undefined
    const service = {
      run: () => new Promise<void>((resolve) => void (end = resolve)).then(() => void events.push('ran')),
      stop: async () => {
        end()
        await new Promise((resolve) => setImmediate(resolve))
        events.push('stopped')
      },
    }
    const running = runService(service, abort.signal)
    abort.abort()
    await running
    expect(events).toEqual(['ran', 'stopped'])
  })

  test('that fails by itself is not stopped, its error is told', async () => {
    const stop = (): Promise<void> => Promise.reject(new Error('must not be called'))
    await expect(
      runService({ run: () => Promise.reject(new Error('broken')), stop }, new AbortController().signal),
    ).rejects.toThrow('broken')
  })

  test('is not started where it was stopped before', async () => {
    const run = (): Promise<void> => Promise.reject(new Error('must not run'))
    await runService({ run, stop: () => Promise.resolve() }, AbortSignal.abort())
  })
})

test('the failure of the work counts, not that of closing after it', async () => {
  const resource = { close: () => Promise.reject(new Error('closing failed')) }
  await expect(closing(resource, () => Promise.reject(new Error('work failed')))).rejects.toThrow('work failed')
  await expect(closing(resource, () => Promise.resolve(1))).rejects.toThrow('closing failed')
})

describe('progress', () => {
  test.each([
    [{ done: 0, share: 0, elapsedMs: 0 }, 80, 'ingesting  [>                             ]    0%  0 events  0/s'],
    [
      { done: 6_000, share: 0.5, elapsedMs: 2_000 },
      80,
      'ingesting  [==============>             ]   50%  6,000 events  3,000/s  2s left',
    ],
    [
      { done: 12_000, share: 1, elapsedMs: 4_000 },
      80,
      'ingesting  [==============================]  100%  12,000 events  3,000/s',
    ],
    [{ done: 1_234_567, elapsedMs: 1_000 }, 80, 'ingesting  1,234,567 events  1,234,567/s'],
    [{ done: 10, share: 2, elapsedMs: 10 }, 40, 'ingesting  100%  10 events  1,000/s'],
  ])('%j on %d columns', (state, columns, expected) => {
    const line = progressLine({ label: 'ingesting', unit: 'events', ...state }, columns)
    expect(line).toBe(expected)
    expect(line.length).toBeLessThan(columns)
  })

  function record(isTty: boolean): {
    text: string[]
    progress: ReturnType<typeof createProgress>
    readonly pass: (ms: number) => void
  } {
    const text: string[] = []
    let now = 0
    const clock: Clock = { now: () => now, monotonic: () => now, sleep: () => Promise.resolve() }
    const terminal = {
      print: () => Promise.resolve(),
      note: (line: string) => void text.push(line),
      progress: { isTty, columns: 80, write: (part: string) => void text.push(part) },
    }
    return {
      text,
      progress: createProgress({ terminal, clock, label: 'a', unit: 'b' }),
      pass: (ms) => void (now += ms),
    }
  }

  test('without a terminal there is the last line and nothing else', () => {
    const { text, progress } = record(false)
    progress.update({ done: 1 })
    progress.finish('all done')
    expect(text).toEqual(['all done'])
  })

  test('on a terminal it draws at most ten times a second, and leaves no bar behind', () => {
    const { text, progress, pass } = record(true)
    for (let i = 0; i < 1_000; i++) {
      progress.update({ done: i })
      pass(1)
    }
    expect(text).toHaveLength(10)
    progress.finish('all done')
    expect(text.slice(10)).toEqual(['\r\u001B[K', 'all done'])
  })
})
