/** What the JSON Schemas of rules and policies are put together from. */

/** A part of a JSON Schema, draft 2020-12. */
export interface Schema {
  readonly [keyword: string]: unknown
}

export const text = (description: string, more: Schema = {}): Schema => ({ type: 'string', description, ...more })
export const wholeNumber = (description: string, minimum = 0): Schema => ({ type: 'integer', minimum, description })
export const money = (description: string): Schema => ({ type: 'number', minimum: 0, multipleOf: 0.01, description })
/** YAML reads 2.0 as a number and 2025-11-01 as a text; both may stand without quotes. */
export const written = (description: string): Schema => ({ type: ['string', 'number'], description })
export const formula = (description: string): Schema => ({ type: ['string', 'number'], description })
export const ref = (name: string): Schema => ({ $ref: `#/$defs/${name}` })

/** A map with these keys and no others; the types see to it that none is forgotten. */
export function map<K extends string>(
  keys: readonly K[],
  properties: Readonly<Record<K, Schema>>,
  { required = [], description }: { readonly required?: readonly K[]; readonly description?: string } = {},
): Schema {
  return {
    type: 'object',
    ...(description === undefined ? {} : { description }),
    properties: Object.fromEntries(keys.map((key) => [key, properties[key]])),
    ...(required.length === 0 ? {} : { required }),
    additionalProperties: false,
  }
}

export const ID_PATTERN = '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$'
export const ZONE = text('A name of the IANA time zone database, such as Europe/Istanbul; UTC where there is none.')
export const FROM = written('From when on it judges events, by their own time: 2025-11-01, or a date and time.')
export const DURATION = '^\\d{1,9}\\s*(s|m|h|d|w)$'
export const COUNTRY = '^[A-Z]{2}$'

const LEVEL_MAX = 10
export const LEVEL: Schema = { type: 'integer', minimum: 0, maximum: LEVEL_MAX }

/** A country or a list of countries. */
export function countries(description: string): Schema {
  const one = text('A country, ISO 3166.', { pattern: COUNTRY })
  return { anyOf: [one, { type: 'array', minItems: 1, items: one }], description }
}
