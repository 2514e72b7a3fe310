/** What the commands read and print, without a broker. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COMMANDS } from '../../cli/commands.ts'
import { countsText } from '../../cli/dlq/count.ts'
import { fixFrom } from '../../cli/dlq/fix.ts'
import { listText } from '../../cli/dlq/list.ts'
import { OutcomeTally } from '../../cli/dlq/outcomes.ts'
import { storyText } from '../../cli/dlq/show.ts'
import { filterOf, targetsOf } from '../../cli/dlq/targets.ts'
import { readFlags } from '../../cli/settings/flags.ts'
import { resolveSettings } from '../../cli/settings/resolve.ts'
import type { LetterOutcome } from '../../core/ports/review.ts'
import { bet, collect, DROP, letterOf, REPROCESS, ReviewLab } from './office.ts'

let lab: ReviewLab
beforeEach(async () => {
  lab = await ReviewLab.open()
})
afterEach(() => lab.close())

const NO_FILTER = {
  cause: undefined,
  status: undefined,
  rule: undefined,
  user: undefined,
  eventName: undefined,
  error: undefined,
  from: undefined,
  to: undefined,
}
const NO_TARGET = { ...NO_FILTER, letter: undefined, limit: undefined }
const { signal } = new AbortController()

async function settingsOf(name: string, ...flags: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
  const command = COMMANDS.find((one) => one.name === name)
  if (command === undefined) throw new Error(`there is no ${name}`)
  const read = readFlags(command, [...flags, '--brokers', 'b:1'])
  return resolveSettings(command, COMMANDS, read, {
    environment: {},
    readFile: () => Promise.reject(new Error('none')),
  })
}

describe('which letters a command is for', () => {
  test('those given, each once, or the open ones that fit', async () => {
    const ids = await lab.post([letterOf(bet('e1')), letterOf(bet('e2')), letterOf(bet('e3'), { reason: 'late' })])
    const { desk, run } = bound()
    await run(DROP, ['1-0'])
    expect(await targetsOf(desk, { ...NO_TARGET, letter: ['0-0', '9-9', '0-0'] }, signal)).toEqual(['0-0', '9-9'])
    expect(await targetsOf(desk, { ...NO_TARGET, cause: ['schema'] }, signal)).toEqual(['0-0'])
    expect(await targetsOf(desk, { ...NO_TARGET, status: ['dropped'] }, signal)).toEqual(['1-0'])
    expect(await targetsOf(desk, { ...NO_TARGET, status: ['open', 'dropped'], limit: 2 }, signal)).toEqual(
      ids.slice(0, 2),
    )
  })

  test('for nothing, or for two kinds of things at once: refused, so that nobody decides on all by a slip', async () => {
    const { desk } = bound()
    for (const settings of [
      NO_TARGET,
      { ...NO_TARGET, letter: ['0-0'], cause: ['schema'] },
      { ...NO_TARGET, limit: 5 },
    ]) {
      await expect(targetsOf(desk, settings, signal)).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
    }
  })

  test('days and times are read, and what is none is refused', () => {
    expect(filterOf({ ...NO_FILTER, from: '2025-11-03', to: '2025-11-03T12:00:00Z' })).toMatchObject({
      from: Date.UTC(2025, 10, 3),
      until: Date.UTC(2025, 10, 3, 12),
    })
    expect(() => filterOf({ ...NO_FILTER, from: 'soon' })).toThrow('--from')
  })

  test.each([
    ['--cause', 'nonsense'],
    ['--status', 'closed'],
    ['--letter', '5'],
  ])('%s %s is refused with what would be right', async (flag, value) => {
    await expect(settingsOf('dlq drop', flag, value, '--reason', 'x')).rejects.toMatchObject({
      code: 'ONCEWARD_E_SETTING_INVALID',
    })
  })

  test('a drop needs a reason, before anything is looked at', async () => {
    await expect(settingsOf('dlq drop', '0-0')).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
  })
})

function bound() {
  const person = lab.desk()
  return { desk: person.desk, run: (...args: Parameters<typeof person.run>) => person.run(...args) }
}

describe('how an event is put right', () => {
  let dir = ''
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'onceward-review-fix-'))
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))

  const NO_FIX = {
    letter: undefined,
    set: undefined,
    unset: undefined,
    when: undefined,
    allowIds: false,
    mapping: undefined,
    event: undefined,
  }

  test('each --set is one, commas and all', async () => {
    const settings = await settingsOf(
      'dlq fix',
      '0-0',
      '--set',
      'payload.a=round(payload.b, 2)',
      '--set=payload.c="x, y"',
      '--unset',
      'a,b',
    )
    expect(settings).toMatchObject({ set: ['payload.a=round(payload.b, 2)', 'payload.c="x, y"'], unset: ['a', 'b'] })
    expect(await fixFrom({ ...NO_FIX, set: ['a=1'], unset: ['b'], when: 'c > 1' })).toEqual({
      kind: 'changes',
      set: ['a=1'],
      unset: ['b'],
      when: 'c > 1',
      allowIds: false,
    })
  })

  test('a file, and one event for one letter', async () => {
    const [mapping, event, wrong] = ['fix.yaml', 'event.json', 'list.json'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(mapping, 'set: { payload.bet: 1 }\n')
    writeFileSync(event, '{"a": 1}')
    writeFileSync(wrong, '[1]')
    expect(await fixFrom({ ...NO_FIX, mapping })).toMatchObject({ kind: 'file', name: mapping })
    expect(await fixFrom({ ...NO_FIX, letter: ['0-0'], event })).toEqual({ kind: 'event', event: { a: 1 } })
    await expect(fixFrom({ ...NO_FIX, event })).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
    await expect(fixFrom({ ...NO_FIX, letter: ['0-0', '0-1'], event })).rejects.toMatchObject({
      code: 'ONCEWARD_E_USAGE',
    })
    await expect(fixFrom({ ...NO_FIX, letter: ['0-0'], event: wrong })).rejects.toMatchObject({
      code: 'ONCEWARD_E_FILE_UNREADABLE',
    })
    await expect(fixFrom({ ...NO_FIX, mapping: join(dir, 'none') })).rejects.toMatchObject({
      code: 'ONCEWARD_E_FILE_UNREADABLE',
    })
  })

  test('in no way, or in two', async () => {
    for (const ways of [{}, { set: ['a=1'], mapping: 'x' }, { mapping: 'x', event: 'y' }]) {
      await expect(fixFrom({ ...NO_FIX, ...ways })).rejects.toMatchObject({ code: 'ONCEWARD_E_USAGE' })
    }
  })
})

describe('what people read', () => {
  test('a list, a count and a story, of which no sender can make a terminal do anything', async () => {
    const evil = '\u001b[2Jevil\u202e'
    const [id = ''] = await lab.post([
      letterOf(bet('e1', { user: { id: evil } }), { detail: `ts is "${evil}"`, user_id: evil }),
    ])
    const { desk } = lab.desk()
    const texts = [
      listText(await collect(desk.letters({}))),
      countsText(await desk.count({})),
      storyText(await desk.show(id)),
    ]
    for (const text of texts) {
      expect(text).not.toContain('\u001b')
      expect(text).not.toContain('\u202e')
      expect(text).toContain('schema')
    }
  })

  test('many outcomes are counted by what they have in common, few are listed', () => {
    const done = (n: number): LetterOutcome => ({ kind: 'done', id: `0-${n}`, cause: 'schema', to: 'fixed', notes: [] })
    const refused = (n: number): LetterOutcome => ({
      kind: 'refused',
      id: `1-${n}`,
      cause: 'late',
      code: 'ONCEWARD_E_LETTER_REFUSED',
      detail: `ts 2025-11-03T00:00:0${n}.000Z is too old`,
    })
    const decision = { state: 'dropped', actor: 'bob', at: '2025-11-03T00:00:00.000Z', reason: 'x' } as const
    const few = new OutcomeTally()
    few.add([done(1), { kind: 'decided', id: '0-2', cause: 'schema', decision }, refused(3)])
    expect(few.table()).toMatch(
      /0-2 +schema +is dropped +ONCEWARD_E_LETTER_DECIDED: by bob at 2025-11-03T00:00:00.000Z: x\n/,
    )
    expect(few.summary()).toBe('1 done, 1 decided by others, 1 refused')
    const many = new OutcomeTally()
    many.add([...Array.from({ length: 40 }, (_, n) => done(n)), refused(1), refused(2)])
    expect(many.table().split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^40 +schema +fixed +0-0$/) as string,
      expect.stringMatching(/^2 +late +refused +1-1 +ts … is too old$/) as string,
    ])
  })

  test('of how few events were set aside', async () => {
    await lab.post([letterOf(bet('e1'))])
    await lab.append(
      ...Array.from({ length: 2_000 }, () => ({
        topic: 't.events.raw',
        partition: 0,
        key: 'u',
        value: '{}',
        timestamp: 0,
      })),
    )
    const text = countsText(await lab.desk().desk.count({}))
    expect(text).toContain('1 letter: 1 open, 0 reprocessed, 0 fixed, 0 dropped')
    expect(text).toContain('of about 2,000 events on the topic 1 were set aside: 0.0500 % (below 0.06 %)')
    expect((await lab.desk().run(REPROCESS)).map(({ kind }) => kind)).toEqual(['done'])
  })
})
