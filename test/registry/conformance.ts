import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { SchemaRegistry } from '../../core/ports/registry.ts'
import { errorOf } from './support.ts'

export interface RegistryUnderTest {
  /** Opens a registry that others may have opened too. */
  open(): Promise<SchemaRegistry>
  /** False: its verdict is that of all older versions, whatever the level (Apicurio). */
  readonly judgesByLevel: boolean
  /** False: several who register the same at once may make as many versions of it, under one id (Apicurio). */
  readonly oneVersionInRaces: boolean
  close(): Promise<void>
}

const text = (...fields: readonly object[]): string => JSON.stringify({ type: 'record', name: 'acme.thing', fields })
const A = { name: 'a', type: 'string' }
const B = { name: 'b', type: ['null', 'string'], default: null }
const REQUIRED = { name: 'c', type: 'int' }

/** What every schema registry must do. `begin` makes one that holds nothing of this suite's subjects. */
export function registryConformance(name: string, begin: () => Promise<RegistryUnderTest>): void {
  describe(`a schema registry: ${name}`, () => {
    let world: RegistryUnderTest
    let registry: SchemaRegistry
    let count = 0
    const fresh = (): string => `conformance-${count++}.of thing/×`
    beforeAll(async () => {
      world = await begin()
      registry = await world.open()
    })
    afterAll(async () => {
      await registry.close()
      await world.close()
    })

    test('what nobody registered is not there, and is no error', async () => {
      expect(await registry.schema(2_000_000_000)).toBeUndefined()
      expect(await registry.versions('nobody')).toEqual([])
      expect(await registry.version('nobody', 'latest')).toBeUndefined()
      expect(await registry.find('nobody', text())).toBeUndefined()
      expect(await registry.compatibility('nobody')).toBeUndefined()
      expect(await registry.check('nobody', text(A))).toMatchObject({ compatible: true })
      expect(await registry.subjects()).not.toContain('nobody')
    })

    test('a schema is found by its id, its version, as the latest, and by itself', async () => {
      const subject = fresh()
      const first = await registry.register(subject, text(A))
      expect(first).toMatchObject({ subject, version: 1 })
      const second = await registry.register(subject, text(A, B))
      expect(second).toMatchObject({ subject, version: 2 })
      expect(second.id).not.toBe(first.id)
      for (const [{ id, version }, schema] of [
        [first, text(A)],
        [second, text(A, B)],
      ] as const) {
        expect(JSON.parse((await registry.schema(id))?.schema ?? '')).toEqual(JSON.parse(schema))
        expect(await registry.version(subject, version)).toMatchObject({ subject, version, id })
        expect(await registry.find(subject, schema)).toMatchObject({ subject, version, id })
      }
      expect(await registry.version(subject, 'latest')).toMatchObject({ version: 2 })
      expect(await registry.version(subject, 3)).toBeUndefined()
      expect(await registry.versions(subject)).toEqual([1, 2])
      expect(await registry.subjects()).toContain(subject)
      expect(await registry.find(subject, text(B))).toBeUndefined()
    })

    test('the same schema is no new version (R3), and has one id under every subject (R2)', async () => {
      const [one, other] = [fresh(), fresh()]
      const first = await registry.register(one, text(A))
      expect(await registry.register(one, text(A))).toEqual(first)
      expect(await registry.register(other, text(A))).toMatchObject({ version: 1, id: first.id })
      expect(await registry.versions(one)).toEqual([1])
    })

    test('a subject that must read its older versions refuses what cannot, and stays as it is', async () => {
      const subject = fresh()
      await registry.register(subject, text(A))
      await registry.setCompatibility(subject, 'BACKWARD_TRANSITIVE')
      expect(await registry.compatibility(subject)).toBe('BACKWARD_TRANSITIVE')
      expect(await registry.check(subject, text(A, REQUIRED))).toMatchObject({ compatible: false })
      expect(await errorOf(registry.register(subject, text(A, REQUIRED)))).toBe('ONCEWARD_E_SCHEMA_INCOMPATIBLE')
      expect(await registry.check(subject, text(A, B))).toMatchObject({ compatible: true })
      expect(await registry.versions(subject)).toEqual([1])
    })

    test('transitive means all older versions, and not the last one alone', async () => {
      const subject = fresh()
      await registry.register(subject, text(A))
      await registry.setCompatibility(subject, 'NONE')
      await registry.register(subject, text(A, REQUIRED))
      await registry.setCompatibility(subject, 'BACKWARD')
      expect((await registry.check(subject, text(A, B, REQUIRED))).compatible).toBe(world.judgesByLevel)
      await registry.setCompatibility(subject, 'BACKWARD_TRANSITIVE')
      expect(await registry.check(subject, text(A, B, REQUIRED))).toMatchObject({ compatible: false })
    })

    test('what is no Avro schema is refused', async () => {
      const subject = fresh()
      for (const bad of [
        '{"type":"recor"}',
        '{"type":"record","name":"x","fields":[{"name":"a","type":"strin"}]}',
        '{',
      ]) {
        expect(await errorOf(registry.register(subject, bad))).toBe('ONCEWARD_E_REGISTRY_REFUSED')
      }
      expect(await registry.versions(subject)).toEqual([])
      expect(await registry.subjects()).not.toContain(subject)
    })

    test('many who register at once make one id of each schema and versions without gaps (R1–R3)', async () => {
      const subject = fresh()
      const openers = await Promise.all([1, 2, 3].map(() => world.open()))
      const schemas = Array.from({ length: 6 }, (_, n) =>
        text(A, ...Array.from({ length: n }, (__, m) => ({ ...B, name: `b${m}` }))),
      )
      const done = await Promise.all(
        openers.flatMap((each) =>
          schemas.map((schema) => each.register(subject, schema).then((at) => ({ schema, at }))),
        ),
      )
      for (const { schema, at } of done) expect(JSON.parse(at.schema)).toEqual(JSON.parse(schema))
      const ids = new Map(done.map(({ schema, at }) => [schema, at.id]))
      expect(new Set(ids.values()).size).toBe(schemas.length)
      expect(done.every(({ schema, at }) => ids.get(schema) === at.id)).toBe(true)
      const versions = await registry.versions(subject)
      expect(versions).toEqual(versions.map((_, index) => index + 1))
      const found = await Promise.all(versions.map((version) => registry.version(subject, version)))
      expect(new Set(found.map((each) => each?.id))).toEqual(new Set(ids.values()))
      if (world.oneVersionInRaces) expect(versions).toHaveLength(schemas.length)
      await Promise.all(openers.map((each) => each.close()))
    })
  })
}
