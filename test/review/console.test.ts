import * as fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { actorOf } from '../../connectors/console/requests.ts'
import { type Console, createConsole } from '../../connectors/console/server.ts'
import { OncewardError } from '../../core/errors.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import type { ReviewDesk } from '../../core/ports/review.ts'
import { Desk } from '../../pipeline/review/desk.ts'
import { bet, DAY, letterOf, ReviewLab, taskLetter, TOPICS } from './office.ts'

const BROKEN = letterOf(bet('e1', { payload: { bet: '1', win: 2, currency: 'EUR' } }))
const READER = { authorization: 'Bearer reader' }
const WRITER = { 'x-api-key': 'writer' }

let lab: ReviewLab
let server: Console
let origin = ''

async function open(desk: ReviewDesk, limits: { bodyBytes?: number; callsAtOnce?: number } = {}): Promise<void> {
  const scopes: Readonly<Record<string, readonly string[]>> = {
    reader: ['dlq:read'],
    writer: ['dlq:read', 'dlq:write'],
    sender: ['events:write'],
  }
  server = createConsole({
    desk,
    logger: silentLogger,
    limits,
    trusts: () => false,
    health: () => ({ alive: true, ready: false, reasons: ['not yet'] }),
    authenticate: (key) => (scopes[key] === undefined ? undefined : { name: key, scopes: new Set(scopes[key]) }),
  })
  origin = `http://127.0.0.1:${await server.listen({ host: '127.0.0.1', port: 0 })}`
}

beforeEach(async () => {
  lab = await ReviewLab.open()
  await open(lab.desk().desk)
})
afterEach(async () => {
  await server.close()
  await lab.close()
})

interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
  readonly headers: Headers
}

async function call(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${origin}${path}`, init)
  return {
    status: response.status,
    body: (await response.json()) as Record<string, unknown>,
    headers: response.headers,
  }
}

const get = (path: string, headers: Record<string, string> = READER): Promise<Answer> => call(path, { headers })

function post(name: string, body: unknown, headers: Record<string, string> = WRITER): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return call(`/v1/dlq/${name}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: text,
  })
}

/** A name as it stands in a header: its bytes in UTF-8. */
const UTF8 = Buffer.from('Änn O.').toString('latin1')

const refusal = (status: number, code: string): object => ({
  status,
  body: { error: { code, message: expect.any(String) as string } },
})

describe('who may', () => {
  test.each<[string, Record<string, string>]>([
    ['no key', {}],
    ['an unknown key', { 'x-api-key': 'nobody' }],
    ['another scheme', { authorization: 'Basic reader' }],
    ['two keys', { ...READER, ...WRITER }],
    ['a key in the URL', {}],
  ])('%s: 401, always with the same words', async (title, headers) => {
    const path = title === 'a key in the URL' ? '/v1/dlq?key=reader' : '/v1/dlq'
    const answer = await get(path, headers)
    expect(answer).toMatchObject(refusal(401, 'ONCEWARD_E_REQUEST_UNAUTHENTICATED'))
    expect(answer.body).toEqual((await get('/v1/dlq', { 'x-api-key': '?' })).body)
  })

  test('reading and writing are two scopes, and neither is that of events', async () => {
    const sender = { 'x-api-key': 'sender' }
    expect(await get('/v1/dlq', sender)).toMatchObject(refusal(403, 'ONCEWARD_E_REQUEST_FORBIDDEN'))
    expect(await get('/v1/dlq/count', sender)).toMatchObject({ status: 403 })
    expect(await get('/v1/dlq/0-0', sender)).toMatchObject({ status: 403 })
    for (const name of ['reprocess', 'fix', 'drop']) {
      expect(await post(name, { ids: ['0-0'] }, READER)).toMatchObject({ status: 403 })
      expect(await post(name, { ids: ['0-0'] }, {})).toMatchObject({ status: 401 })
    }
  })
})

describe('reading', () => {
  test('pages of a list come to every letter once', async () => {
    const ids = await lab.post(Array.from({ length: 7 }, () => BROKEN))
    const found: unknown[] = []
    for (let cursor: string | null = ''; cursor !== null; ) {
      const { body } = await get(`/v1/dlq?limit=3${cursor === '' ? '' : `&cursor=${cursor}`}`)
      const page = body as { letters: { id: string }[]; next_cursor: string | null }
      found.push(...page.letters.map(({ id }) => id))
      cursor = page.next_cursor
    }
    expect(found).toEqual(ids)
  })

  test('filters, counts and one letter', async () => {
    await lab.post([BROKEN, taskLetter('rt_1')], DAY)
    expect((await get('/v1/dlq?cause=payout,late&from=2025-11-03&to=2025-11-04T00:00:00Z')).body).toMatchObject({
      letters: [{ id: '1-0', cause: 'payout', reward_task_id: 'rt_1', status: 'open', decision: null }],
    })
    expect((await get('/v1/dlq/count?cause=schema')).body).toMatchObject({ letters: 1, by_status: { open: 1 } })
    expect((await get('/v1/dlq/0-0')).body).toMatchObject({ letter: { id: '0-0' }, record: BROKEN, review: null })
    expect(await get('/v1/dlq/7-7')).toMatchObject(refusal(404, 'ONCEWARD_E_LETTER_UNKNOWN'))
  })
})

describe('deciding', () => {
  test('changes nothing unless it is said that it is no dry run', async () => {
    await lab.post([letterOf(bet('e1')), BROKEN])
    const dry = await post('reprocess', { filter: { cause: 'schema' } })
    expect(dry).toMatchObject({ status: 200, body: { dry_run: true, letters: 2, done: 1, refused: 1, more: false } })
    expect(await lab.read(TOPICS.dlqReviews)).toEqual([])
    const done = await post(
      'reprocess',
      { filter: { cause: 'schema' }, dry_run: false, reason: 'ticket' },
      { ...WRITER, 'x-actor': UTF8 },
    )
    expect(done.body).toEqual({ ...dry.body, dry_run: false })
    expect(await lab.values(TOPICS.dlqReviews)).toMatchObject([{ actor: 'writer/Änn O.', reason: 'ticket' }])
    expect((await post('drop', { ids: ['0-0'], reason: 'x', dry_run: false })).body).toMatchObject({
      decided: 1,
      outcomes: [{ kind: 'decided', code: 'ONCEWARD_E_LETTER_DECIDED', by: 'writer/Änn O.' }],
    })
  })

  test('a whole event is no fix for several letters: of all but one it would take what they told', async () => {
    const ids = await lab.post([1, 2].map((n) => letterOf(bet(`e${n}`, { payload: { bet: '1' } }))))
    const event = bet('e1')
    for (const targets of [{ ids }, { filter: { status: 'open' } }]) {
      for (const dry_run of [true, false]) {
        const answer = await post('fix', { ...targets, fix: { event }, dry_run })
        expect(answer).toMatchObject({ status: 422, body: { error: { code: 'ONCEWARD_E_LETTER_REFUSED' } } })
      }
    }
    expect(await lab.read(TOPICS.events)).toEqual([])
    expect(await post('fix', { ids: ids.slice(0, 1), fix: { event }, dry_run: false })).toMatchObject({ status: 200 })
  })

  test('a fix by changes, by a file and by the whole event', async () => {
    await lab.post(Array.from({ length: 3 }, () => BROKEN))
    const fixes = [
      { set: { 'payload.bet': '1' }, unset: ['context'], when: 'payload.win == 2' },
      { mapping: 'set: { payload.bet: 1 }\n' },
      { event: bet('e9') },
    ]
    for (const [index, fix] of fixes.entries()) {
      const id = ['0-0', '0-1', '1-0'][index]
      expect((await post('fix', { ids: [id], fix, dry_run: false })).body).toMatchObject({ done: 1 })
    }
    expect(await lab.read(TOPICS.events)).toHaveLength(3)
    expect(await post('fix', { ids: ['0-0'], fix: { mapping: 'set: [' } })).toMatchObject(
      refusal(400, 'ONCEWARD_E_MAPPING_INVALID'),
    )
  })

  test('by a filter it is for open ones, at most so many, and says whether there are more', async () => {
    await lab.post(Array.from({ length: 5 }, () => BROKEN))
    const order = { filter: { cause: ['schema'] }, limit: 2, reason: 'x', dry_run: false }
    const told = []
    for (let more = true; more; ) {
      const { body } = await post('drop', order)
      told.push(body['done'])
      more = body['more'] === true
    }
    expect(told).toEqual([2, 2, 1])
  })
})

describe('what cannot be read is refused, and nothing is done', () => {
  test.each<[string, unknown]>([
    ['no JSON', '{'],
    ['a list', []],
    ['neither ids nor filter', {}],
    ['both', { ids: ['0-0'], filter: { cause: 'schema' } }],
    ['an empty filter', { filter: {} }],
    ['no ids', { ids: [] }],
    ['ids that are none', { ids: [5] }],
    ['too many', { ids: Array.from({ length: 1_001 }, (_, index) => `0-${index}`) }],
    ['an unknown cause', { filter: { cause: 'nonsense' } }],
    ['a key that there is not', { ids: ['0-0'], dryrun: false }],
    ['dry_run as a text', { ids: ['0-0'], dry_run: 'false' }],
    ['a time that is none', { filter: { from: '2025-13-01' } }],
    ['a limit out of bounds', { filter: { cause: 'schema' }, limit: 1_001 }],
    ['a prototype', '{"__proto__":{"dry_run":false},"ids":["0-0"]}'],
  ])('%s', async (_, body) => {
    await lab.post([letterOf(bet('e1'))])
    expect(await post('reprocess', body)).toMatchObject(refusal(400, 'ONCEWARD_E_REQUEST_MALFORMED'))
    expect(await lab.read(TOPICS.events)).toEqual([])
  })

  test('a drop without a reason, a fix without a way, an actor that is no name', async () => {
    expect(await post('drop', { ids: ['0-0'] })).toMatchObject({ status: 400 })
    for (const fix of [undefined, {}, { set: { 'payload.bet': 1 } }, { set: {}, event: {} }, { event: [] }]) {
      expect(await post('fix', { ids: ['0-0'], fix })).toMatchObject({ status: 400 })
    }
    for (const actor of ['', 'a/b', 'x'.repeat(65), ' a']) {
      const answer = await post('reprocess', { ids: ['0-0'] }, { ...WRITER, 'x-actor': actor })
      expect([actor, answer.status]).toEqual([actor, actor === ' a' ? 200 : 400])
    }
  })

  test('paths, methods and bodies that there are not', async () => {
    await server.close()
    await open(lab.desk().desk, { bodyBytes: 1_000 })
    expect(await get('/v2')).toMatchObject(refusal(404, 'ONCEWARD_E_REQUEST_MALFORMED'))
    expect(await get('/v1/dlq/%ff')).toMatchObject({ status: 400 })
    expect(await get(`/v1/dlq/${'9'.repeat(500)}`)).toMatchObject({ status: 414 })
    expect(await call('/v1/dlq', { method: 'DELETE', headers: WRITER })).toMatchObject({ status: 404 })
    expect(await post('reprocess', 'x', { ...WRITER, 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
    expect(await post('reprocess', { ids: ['0'.repeat(2_000)] })).toMatchObject(
      refusal(413, 'ONCEWARD_E_REQUEST_TOO_LARGE'),
    )
  })

  test('whatever comes, it is answered with less than 500', async () => {
    await lab.post([BROKEN, letterOf(bet('e2'))])
    const value = fc.oneof(fc.jsonValue(), fc.string(), fc.constantFrom('schema', true, 1, ['0-0']))
    const body = fc.dictionary(
      fc.constantFrom('ids', 'filter', 'limit', 'dry_run', 'reason', 'fix', '__proto__'),
      value,
    )
    const name = fc.constantFrom('reprocess', 'fix', 'drop')
    const query = fc.webQueryParameters()
    await fc.assert(
      fc.asyncProperty(name, body, query, async (order, given, parameters) => {
        expect((await post(order, given)).status).toBeLessThan(500)
        expect((await get(`/v1/dlq?${parameters}`)).status).toBeLessThan(500)
      }),
      { numRuns: 100 },
    )
  })
})

describe('when it cannot', () => {
  /** A desk where nothing can be counted or shown. */
  class FailingDesk extends Desk {
    readonly #error: Error

    constructor(error: Error) {
      super(lab.deskOptions())
      this.#error = error
    }

    override count(): Promise<never> {
      return Promise.reject(this.#error)
    }

    override show(): Promise<never> {
      return Promise.reject(this.#error)
    }
  }

  test('because the log or the ledger is away: 503, and when to come again', async () => {
    for (const code of [
      'ONCEWARD_E_LOG_UNAVAILABLE',
      'ONCEWARD_E_LEDGER_UNAVAILABLE',
      'ONCEWARD_E_LOG_COMMIT_UNKNOWN',
      'ONCEWARD_E_LOG_FENCED',
    ] as const) {
      await server.close()
      await open(new FailingDesk(new OncewardError(code, 'secret words')))
      const answer = await get('/v1/dlq/count')
      expect(answer).toMatchObject(refusal(503, code))
      expect(answer.headers.get('retry-after')).toBe('5')
    }
  })

  test('because of a defect: 500 without a word of it', async () => {
    await server.close()
    await open(new FailingDesk(new TypeError('secret words')))
    expect((await get('/v1/dlq/0-0')).body).toEqual({
      error: { code: 'ONCEWARD_E_INTERNAL', message: 'this has failed here; it is in the log' },
    })
  })

  test('because too many ask at once: 429', async () => {
    await server.close()
    await open(lab.desk().desk, { callsAtOnce: 0 })
    const answer = await get('/v1/dlq')
    expect(answer).toMatchObject(refusal(429, 'ONCEWARD_E_REQUEST_LIMITED'))
    expect(answer.headers.get('retry-after')).toBe('1')
  })

  test('probes ask no key', async () => {
    expect(await get('/healthz', {})).toMatchObject({ status: 200 })
    expect(await get('/readyz', {})).toMatchObject({ status: 503, body: { reasons: ['not yet'] } })
  })
})

test.each([
  ['console', undefined, 'console'],
  ['console', 'ann', 'console/ann'],
  ['sink', undefined, 'key/sink'],
  ['migration', undefined, 'key/migration'],
  ['sink', 'ann', 'sink/ann'],
])(
  'what the key of %s decides, naming %s, is not taken for what the ledger does by itself',
  (source, header, actor) => {
    expect(actorOf(source, header)).toBe(actor)
  },
)
