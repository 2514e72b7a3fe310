/**
 * A schema registry: what Onceward needs of Confluent's, and nothing more. Two adapters (embedded, HTTP) pass one
 * conformance suite.
 *
 * R1  an id names one schema, for ever
 * R2  the same schema has the same id, under whatever subject
 * R3  a version of a subject is never changed
 *
 * Whatever cannot be asked rejects: with ONCEWARD_E_REGISTRY_UNAVAILABLE where trying again later may help (the adapter has
 * tried for a while already), with ONCEWARD_E_REGISTRY_REFUSED where somebody has to mend something first.
 */
export interface SchemaRegistry {
  /** undefined: the registry answers, and knows no such id. */
  schema(id: number): Promise<RegisteredSchema | undefined>
  /** In order. */
  subjects(): Promise<readonly string[]>
  /** Ascending; none where there is no such subject. */
  versions(subject: string): Promise<readonly number[]>
  version(subject: string, version: number | 'latest'): Promise<SubjectVersion | undefined>
  /** The version of the subject that holds exactly this schema. */
  find(subject: string, schema: string): Promise<SubjectVersion | undefined>
  /**
   * Adds a version, or answers the one that there is: the same schema is no new version. Rejects with
   * ONCEWARD_E_SCHEMA_INCOMPATIBLE where the subject's level does not allow it.
   */
  register(subject: string, schema: string): Promise<SubjectVersion>
  /** What the registry itself says of a schema, by the subject's level. */
  check(subject: string, schema: string): Promise<RegistryVerdict>
  /** The subject's own level; where it has none, undefined, or the registry's default (Apicurio). */
  compatibility(subject: string): Promise<CompatibilityLevel | undefined>
  setCompatibility(subject: string, level: CompatibilityLevel): Promise<void>
  close(): Promise<void>
}

export interface RegisteredSchema {
  /** JSON text of an Avro schema. */
  readonly schema: string
  /** Why Onceward cannot use it: it is not Avro, or refers to others. */
  readonly unusable?: string
}

export interface SubjectVersion {
  readonly subject: string
  /** From 1 on. */
  readonly version: number
  readonly id: number
  readonly schema: string
}

export interface RegistryVerdict {
  readonly compatible: boolean
  /** What the registry gives as reasons, in its own words; may be empty. */
  readonly messages: readonly string[]
}

/** What a new version of a subject must be able to read: nothing, the last version, all of them. Others are left to the registry. */
export const COMPATIBILITY_LEVELS = ['NONE', 'BACKWARD', 'BACKWARD_TRANSITIVE'] as const
export type CompatibilityLevel =
  | (typeof COMPATIBILITY_LEVELS)[number]
  | 'FORWARD'
  | 'FORWARD_TRANSITIVE'
  | 'FULL'
  | 'FULL_TRANSITIVE'

/** Schema ids: whole numbers that the wire format can carry; both inclusive. */
export const SCHEMA_ID_BOUNDS = { least: 0, most: 2 ** 31 - 1 } as const
