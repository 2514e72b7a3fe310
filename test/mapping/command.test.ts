import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { tryMapping } from '../../cli/gateway/provider-mapping-test.ts'
import { systemClock } from '../../core/clock.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { seededRandom } from '../../core/random.ts'

import { BODY, simple } from './mapping-texts.ts'

const EXAMPLES = join(import.meta.dirname, '../../examples/gateway')

let dir = ''
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'onceward-mapping-'))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function tried(mapping: string, body: string, json = false) {
  let stdout = ''
  const notes: string[] = []
  const code = await tryMapping({
    settings: { mapping, body, schemas: undefined, json },
    signal: new AbortController().signal,
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    terminal: {
      print: (text) => {
        stdout += text
        return Promise.resolve()
      },
      note: (line) => notes.push(line),
      progress: { isTty: false, columns: 80, write: () => undefined },
    },
  })
  return { code, stdout, notes }
}

function file(name: string, text: string): string {
  const path = join(dir, name)
  writeFileSync(path, text)
  return path
}

test('the example comes to four events, told for people or one a line', async () => {
  const [mapping, body] = [join(EXAMPLES, 'gameco.mapping.yaml'), join(EXAMPLES, 'bodies/gameco-rounds.json')]
  const told = await tried(mapping, body)
  expect(told).toMatchObject({ code: 0, notes: ['4 taken, 0 rejected, 1 ignored'] })
  expect(told.stdout).toContain('rounds[1]: bet\n  {\n    "event_id": "gameco:880012345"')
  expect(told.stdout).toMatch(
    / {2}payload\.round_id is left out: round_id is missing \(.*gameco\.mapping\.yaml:\d+:\d+\)/,
  )
  const lines = (await tried(mapping, body, true)).stdout.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).event_name)).toEqual(['bet', 'bet', 'spin', 'win'])
})

test('what the mapping or a worker would not take is told, and ends with 1', async () => {
  const mapping = file(
    'm.yaml',
    simple({ payload: '{ bet: stake }' }, { each: 'rounds' }).replaceAll('"g:{id}"', '"g:{id}"'),
  )
  const rounds = [BODY, { ...BODY, stake: '2.50' }, { ...BODY, player: null }]
  const body = file('b.json', JSON.stringify({ rounds }))
  const told = await tried(mapping, body)
  expect(told.code).toBe(1)
  expect(told.stdout).toContain('REJECTED rounds[1]: a worker would not take it: payload.bet is the text "2.50"')
  expect(told.stdout).toContain('REJECTED rounds[2]: user.id cannot be made: player is missing')
  expect(told.notes).toEqual([
    '1 taken, 2 rejected, 0 ignored; 2 with the event_id of another, which would be taken for repeats',
  ])
  const json = await tried(mapping, body, true)
  expect(json.notes.slice(0, 2)).toEqual(['rounds[1] is rejected', 'rounds[2] is rejected'])
  expect(json.stdout.trimEnd().split('\n')).toHaveLength(1)
})

test('a body without the list that the mapping takes is rejected as a whole', async () => {
  const told = await tried(file('each.yaml', simple({}, { each: 'rounds' })), file('none.json', '{}'))
  expect(told).toMatchObject({ code: 1, stdout: '', notes: [expect.stringContaining('rounds is missing in the body')] })
})

test.each([
  [simple({ when: 'stake +' }), '{}', 'ONCEWARD_E_MAPPING_INVALID', /one problem in the mapping:\n.*m\.yaml:/],
  [simple(), '[]', 'ONCEWARD_E_FILE_UNREADABLE', /is no JSON object/],
  [simple(), '{', 'ONCEWARD_E_FILE_UNREADABLE', /is no JSON: /],
])('what cannot be read is said: %j, %s', async (mapping, body, code, message) => {
  const attempt = tried(file('m.yaml', mapping), file('b.json', body))
  await expect(attempt).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
})
