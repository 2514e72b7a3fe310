import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { isMap, isSeq, type Node } from 'yaml'
import { describe, expect, test } from 'vitest'
import { PROVIDER_KEYS, readProviders } from '../../cli/gateway/providers-file.ts'
import { LocatedYaml } from '../../cli/partners/located-yaml.ts'
import { COMMON_KEYS, MAPPED_EVENT_KEYS } from '../../rules/mapping-event.ts'
import { compileFix, FIX_KEYS } from '../../rules/mapping-fix.ts'
import { VALUE_FORMS } from '../../rules/mapping-value.ts'
import { compileMapping, MAPPING_KEYS } from '../../rules/mapping.ts'
import { formatProblem } from '../../rules/problem.ts'
import { BODY, itemsOf, mappingOf, only, REQUEST, simple } from '../mapping/mapping-texts.ts'

const ROOT = join(import.meta.dirname, '../..')
const TEXT = readFileSync(join(ROOT, 'docs/PROVIDERS.md'), 'utf8')
const blocks = (language: string): string[] =>
  [...TEXT.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, name, body = '']) => (name === language ? [body] : []))
const yaml = (begin: RegExp): string[] => blocks('yaml').filter((text) => begin.test(text))

describe('docs/PROVIDERS.md', () => {
  test('has mappings that are right', () => {
    const mappings = yaml(/^provider:/)
    expect(mappings).toHaveLength(2)
    for (const text of mappings) {
      const reading = compileMapping({ file: 'example.yaml', text })
      expect(reading.ok ? [] : reading.problems.map(formatProblem)).toEqual([])
    }
  })

  test('has a fix that is right, and a file of providers that is', async () => {
    for (const text of yaml(/^description:/)) expect(compileFix({ file: 'fix.yaml', text })).toMatchObject({ ok: true })
    const [text = ''] = yaml(/^providers:/)
    const file = new LocatedYaml('gateway.yaml', { code: 'ONCEWARD_E_GATEWAY_INVALID', begins: 'sources' })
    const root = file.parse(text)
    const list: unknown = isMap(root) ? root.get('providers') : undefined
    const outside = {
      read: (path: string) =>
        Promise.resolve(
          path.endsWith('.secret') ? 'secret' : readFileSync(join(ROOT, 'examples/gateway', path), 'utf8'),
        ),
      environment: { PAYGRID_SECRET: 'secret' },
      folder: '.',
    }
    const privacy = { pass: undefined, hash: [] }
    await expect(readProviders(file, isSeq<Node>(list) ? list.items : [], { outside, privacy })).resolves.toHaveLength(
      2,
    )
  })

  test('explains every key, with an example of each', () => {
    const examples = TEXT.replaceAll(/^\| `/gm, '')
    const keys: readonly string[] = [
      ...MAPPING_KEYS,
      ...MAPPED_EVENT_KEYS,
      ...COMMON_KEYS,
      ...FIX_KEYS,
      ...PROVIDER_KEYS,
      ...Object.values(VALUE_FORMS).flat(),
    ]
    expect(keys.filter((key) => !TEXT.includes(`\`${key}\``) && !new RegExp(`\\{[^}]*\\b${key}:`).test(TEXT))).toEqual(
      [],
    )
    const shown = keys.filter((key) => key !== 'allow_ids')
    expect(shown.filter((key) => !new RegExp(`\\b${key}:`).test(examples))).toEqual([])
  })

  test('its values are values', () => {
    const rows = TEXT.slice(TEXT.indexOf('### Values'), TEXT.indexOf('### The id'))
    const body = {
      game: { code: 'g' },
      stake_cents: 5,
      payment_number: 1,
      round_id: 7,
      settled_at: 1_762_171_200_000,
      settled_on: '2025-11-03 15:00:00',
      amount: { value: '1250' },
      player: { country: 'tr', ref: 'u' },
      status: 'NO',
    }
    const values = [...rows.matchAll(/^\| `([^`]+)` \| (?!As they)/gm)].map(([, written = '']) => {
      const event = only(simple({ user: '{ id: id }', payload: `{ v: ${written} }` }), { ...BODY, ...body })
      return typeof event === 'string' ? event : event['payload']
    })
    expect(values).toEqual(
      [
        'g',
        0.05,
        true,
        'EUR',
        'g-7',
        'EUR',
        '2025-11-03T12:00:00.000Z',
        '2025-11-03T12:00:00.000Z',
        12.5,
        'TR',
        'failed',
        'u',
        { code: 'g' },
      ].map((v) => ({ v })),
    )
  })

  test('its sentences are those that are said', () => {
    const file = 'gameco.mapping.yaml'
    const text = (user: string): string =>
      `provider: gameco\neach: rounds\n\nevents:\n  - event_name: bet\n    ts: t\n    ${user}\n    event_id: "{id}"\n`
    const reading = compileMapping({ file, text: text('user: { id: player.ref, goe: player.country }') })
    const [said = '', wrong = ''] = blocks('text')
    const place = / *\(?gameco\.mapping\.yaml:\d+:\d+\)?/
    const problem = reading.ok ? '' : (reading.problems.map(formatProblem)[0] ?? '')
    const flat = (shown: string): string[] =>
      shown
        .replace(place, '')
        .split('\n')
        .map((line) => line.trim())
        .filter((line) => line !== '')
    expect(flat(problem)).toEqual(flat(wrong))
    const round = { id: 'a', t: '2025-11-03T12:00:00Z' }
    const items = itemsOf(
      mappingOf(text('user: { id: player.ref }')).map({ rounds: [round, round, round, round] }, REQUEST),
    )
    const last = items[3]
    expect(last?.ok === false ? flat(last.detail) : []).toEqual(flat(said))
  })
})
