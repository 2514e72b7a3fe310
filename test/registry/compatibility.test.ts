import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { httpRegistry } from '../../connectors/registry/http-registry.ts'
import { systemClock } from '../../core/clock.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { SchemaRegistry } from '../../core/ports/registry.ts'
import { fromJson } from '../../operators/avro-json.ts'
import { avroType } from '../../operators/avro-type.ts'
import { incompatibilities } from '../../operators/compatibility.ts'
import { registryForTests, startRegistry, type TestRegistry } from '../support/registry.ts'
import { PAIRS } from './pairs.ts'
import { type Change, changedSchema, schemaOfFields } from './random-schemas.ts'
import { valueOf } from './support.ts'

const problemsOf = (newer: object, older: object): string[] =>
  incompatibilities(newer as JsonObject, older as JsonObject).map(({ path, problem }) => `${path} ${problem}`.trim())

/** What avsc, which decodes events, makes of it. */
function resolves(newer: object, older: object): boolean {
  try {
    avroType(newer).createResolver(avroType(older), { ignoreNamespaces: true })
    return true
  } catch {
    return false
  }
}

describe('what a newer schema can read', () => {
  test.each(PAIRS)('$name', ({ older, newer, compatible, says }) => {
    const problems = problemsOf(newer, older)
    expect(problems.length === 0).toBe(compatible)
    if (says !== undefined) expect(problems.join('\n')).toMatch(says)
    expect(resolves(newer, older)).toBe(compatible)
  })

  test('is what avsc can resolve, whatever has changed', { timeout: 600_000 }, () => {
    fc.assert(
      fc.property(changedSchema, ({ older, newer }: Change) => {
        expect(problemsOf(newer, older).length === 0).toBe(resolves(newer, older))
      }),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 800) },
    )
  })

  test('is what it reads: every value that the older one wrote is decoded', { timeout: 600_000 }, () => {
    const pairAndValue = changedSchema
      .filter(({ older, newer }) => problemsOf(newer, older).length === 0)
      .chain((pair) => fc.tuple(fc.constant(pair), valueOf(pair.older)))
    fc.assert(
      fc.property(pairAndValue, ([{ older, newer }, value]) => {
        const [writer, reader] = [avroType(older), avroType(newer)]
        const bytes = writer.toBuffer(fromJson(writer)(value))
        const { offset } = reader.decode(bytes, 0, reader.createResolver(writer, { ignoreNamespaces: true }))
        expect(offset).toBe(bytes.length)
      }),
      { numRuns: Number(process.env['ONCEWARD_FUZZ'] ?? 400) },
    )
  })

  test('a schema reads itself, unless a field is called by the name of another', () => {
    fc.assert(
      fc.property(schemaOfFields, (schema) => {
        expect(problemsOf(schema, schema).filter((problem) => !problem.includes('goes by the names'))).toEqual([])
      }),
    )
  })
})

describe.skipIf(!registryForTests().available)('a real registry', () => {
  let server: TestRegistry
  let registry: SchemaRegistry
  beforeAll(async () => {
    server = await startRegistry()
    registry = httpRegistry({ url: server.url, clock: systemClock })
  })
  afterAll(async () => {
    await registry.close()
    await server.stop()
  })

  const verdict = async (subject: string, older: object, newer: object): Promise<boolean> => {
    await registry.register(subject, JSON.stringify(older))
    await registry.setCompatibility(subject, 'BACKWARD')
    const text = JSON.stringify(newer)
    // It says no in two ways: that it cannot be read by, and that it cannot be compared.
    return registry.check(subject, text).then(
      ({ compatible }) => compatible,
      () => false,
    )
  }

  test.each(PAIRS.map((pair, index) => ({ ...pair, index })))('is of one mind with us: $name', async (pair) => {
    const { older, newer, compatible, registrySays = compatible, index } = pair
    expect(await verdict(`pair-${index}`, older, newer)).toBe(registrySays)
  })

  test('never refuses what we allow, whatever has changed', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(
        changedSchema.filter(({ older, newer }) => problemsOf(newer, older).length === 0),
        async ({ older, newer }) => {
          expect(await verdict(`random-${count++}`, older, newer)).toBe(true)
        },
      ),
      { numRuns: 60 },
    )
  })
})
