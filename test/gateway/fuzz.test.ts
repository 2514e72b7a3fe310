import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openApiDocument } from '../../connectors/gateway/openapi.ts'
import { systemClock } from '../../core/clock.ts'
import type { AnswerLog, EventIntake } from '../../core/ports/gateway.ts'
import type { Log } from '../../core/ports/log.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { readGatewayFile } from '../../cli/gateway/gateway-file.ts'
import { createNormalizer } from '../../operators/normalize.ts'
import { openAnswerLog } from '../../pipeline/gateway/answer-log.ts'
import { intakeOn, memoryLog, schemas, topics } from '../intake/harness.ts'
import { valuesOf } from './bus-reading.ts'
import { type FuzzCase, fuzzCases, type Secrets } from './fuzz-cases.ts'
import { directoryOf, event, LIMITS, startGateway, type TestGateway } from './gateway-harness.ts'

const CASES = Number(process.env['ONCEWARD_FUZZ'] ?? 5_000)
const SEED = Number(process.env['ONCEWARD_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
const LANES = 64
const CHUNK = 1_000
/** No request may take longer; many times the bounds that the server was given. */
const DEADLINE_MS = 20_000

const EXAMPLE = 'examples/gateway/gateway.yaml'

let log: Log
let intake: EventIntake
let answers: AnswerLog & { close(): Promise<void> }
let gateway: TestGateway
let secrets: Secrets

beforeAll(async () => {
  log = await memoryLog()
  answers = await openAnswerLog({ log, topics, clock: systemClock, logger: silentLogger })
  const read = (path: string): Promise<string> => readFile(path, 'utf8')
  secrets = {
    gameco: (await read('examples/gateway/gameco.secret')).trim(),
    gamecoBody: await read('examples/gateway/bodies/gameco-rounds.json'),
  }
  const { directory } = await readGatewayFile(EXAMPLE, await read(EXAMPLE), { read, environment: {} })
  intake = await intakeOn(log)
  const providers = [...directory.providers.values()].map((provider) => ({ ...provider, limits: LIMITS }))
  gateway = await startGateway({
    intake,
    answers,
    directory: {
      ...directoryOf({
        trustedProxies: ['127.0.0.1', '10.0.0.0/8'],
        countryHeader: 'cf-ipcountry',
        origins: ['https://play.example'],
      }),
      providers: new Map(providers.map((provider) => [provider.source.name, provider])),
    },
    limits: {
      headersMs: 300,
      requestMs: 600,
      checkMs: 50,
      failures: { perSecond: 1_000_000, burst: 1_000_000 },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await answers.close()
  await intake.close()
  await log.close()
})

interface Outcome {
  /** undefined: the connection ended without an answer. */
  readonly status: number | undefined
  readonly text: string
}

/** Writes a case and waits for its answer, or for the end of the connection. */
function play({ pieces, ends }: FuzzCase): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const socket = connect(gateway.port, '127.0.0.1')
    const late = new AbortController()
    let text = ''
    const done = (settle: () => void): void => {
      late.abort()
      socket.destroy()
      settle()
    }
    // To HEAD, the length of what would come is told, and nothing comes.
    const toHead = /^\s*HEAD /.test(Buffer.concat([...pieces]).toString('latin1'))
    const answered = (): boolean => isWhole(text.replace(/^(HTTP\/1\.1 100 Continue\r\n\r\n)+/, ''), toHead)
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      if (answered()) done(() => resolve({ status: statusOf(text), text }))
    })
    socket.on('error', () => undefined)
    socket.on('close', () => done(() => resolve({ status: statusOf(text), text })))
    const watch = async (): Promise<void> => {
      await systemClock.sleep(DEADLINE_MS, late.signal)
      if (!late.signal.aborted) done(() => reject(new Error('no answer and no end of the connection')))
    }
    void watch()
    for (const piece of pieces) socket.write(piece)
    if (ends) socket.end()
  })
}

function statusOf(text: string): number | undefined {
  const statuses = [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)].map(([, status]) => Number(status))
  return statuses.find((status) => status >= 200)
}

function isWhole(answer: string, toHead: boolean): boolean {
  const end = answer.indexOf('\r\n\r\n')
  if (end === -1) return false
  const [, length] = /\r\ncontent-length: (\d+)\r\n/i.exec(answer.slice(0, end + 2)) ?? []
  return toHead || length === undefined || answer.length >= end + 4 + Number(length)
}

const accepted = new Set<string>()
let unanswered = 0

function note({ status, text }: Outcome): void {
  if (status === undefined) unanswered++
  if (status !== 202) return
  const body = Buffer.from(text.slice(text.lastIndexOf('\r\n\r\n') + 4), 'latin1').toString('utf8')
  const answer = JSON.parse(body) as { events: { status: string; event_id?: string }[] }
  for (const { status: became, event_id: id } of answer.events) if (became === 'accepted') accepted.add(String(id))
}

test(`${CASES} requests from right to nonsense: never a 5xx, a crash or a hang (seed ${SEED})`, {
  timeout: 60_000 + CASES * 20,
}, async () => {
  const statuses = new Map<number | undefined, number>()
  for (let begin = 0; begin < CASES; begin += CHUNK) {
    const numRuns = Math.min(CHUNK, CASES - begin)
    const cases = fc.sample(fuzzCases(secrets, Math.floor(Date.now() / 1_000)), { numRuns, seed: SEED + begin })
    const lane = async (): Promise<void> => {
      for (let one = cases.pop(); one !== undefined; one = cases.pop()) {
        const shown = JSON.stringify(
          Buffer.concat([...one.pieces])
            .toString('latin1')
            .slice(0, 4_000),
        )
        const outcome = await play(one).catch((error: unknown) => {
          throw new Error(`${String(error)}: ${shown}`)
        })
        const failed = (outcome.status ?? 0) >= 500 || /^HTTP\/1\.1 5/m.test(outcome.text)
        expect(failed ? shown + outcome.text : '').toBe('')
        statuses.set(outcome.status, (statuses.get(outcome.status) ?? 0) + 1)
        note(outcome)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
  }
  // Each kind was there, or the fuzzing says nothing.
  for (const status of [202, 400, 401, 404, 405, 413, 415, 422, 431])
    expect([status, statuses.get(status) ?? 0]).not.toEqual([status, 0])
  const declared = [...JSON.stringify(openApiDocument('')).matchAll(/"(\d{3})":|(\d{3}), /g)].map(([, one, other]) =>
    Number(one ?? other),
  )
  for (const status of statuses.keys())
    if (status !== undefined && status !== 204) expect([...declared, 431]).toContain(status)
  expect((await gateway.send({ json: event('after all of it') })).status).toBe(202)
  accepted.add('after all of it')
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  await expect.poll(() => gateway.gateway.state(), { timeout: 10_000 }).toEqual({ connections: 0, bodyBytes: 0 })
})

test('what is on the bus was accepted, and passes the check of whoever reads it', async () => {
  const normalize = createNormalizer(schemas)
  const ids = new Set<string>()
  for (const value of await valuesOf(log, topics.events)) {
    const read = normalize(value)
    expect(read).toMatchObject({ kind: 'event' })
    if (read.kind === 'event') ids.add(read.event.eventId)
  }
  expect(accepted.size).toBeGreaterThan(CASES / 100)
  expect([...accepted].filter((id) => !ids.has(id))).toEqual([])
  // A request whose client was cut off, or closed its side before it had its answer, may have been taken.
  expect([...ids].filter((id) => !accepted.has(id)).length).toBeLessThanOrEqual(unanswered * 5)
  for (const value of await valuesOf(log, topics.dlq)) expect(() => JSON.parse(value.toString('utf8'))).not.toThrow()
})
