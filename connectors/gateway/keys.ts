import { hash } from 'node:crypto'
import type { EventSource, SourceLimits } from '../../core/ports/gateway.ts'
import type { AddressList } from './addresses.ts'
import { KEY_HEADER, KEY_PARAMETER, type Scope } from './contract.ts'

export interface ApiKey {
  /** Stands in the audit log in the key's place. */
  readonly id: string
  /** SHA-256 of the key, lower-case hexadecimal digits. */
  readonly hash: string
  /** Unix milliseconds, exclusive; undefined: for good. */
  readonly notAfter: number | undefined
}

/** Who sends events with an API key. */
export interface KeySource {
  readonly source: EventSource
  readonly limits: SourceLimits
  /** Anybody can read the key, in a page or an app: it may then stand in the URL as well. */
  readonly public: boolean
  readonly scopes: ReadonlySet<Scope>
  /** undefined: from anywhere. */
  readonly allowIps: AddressList | undefined
  readonly keys: readonly ApiKey[]
}

export interface Caller {
  readonly source: KeySource
  readonly key: ApiKey
}

/** What no key is longer than; nothing longer is hashed. */
const KEY_LENGTH_MAX = 256

/** Keys by their hash. */
export class KeyTable {
  readonly #byHash = new Map<string, Caller>()

  constructor(sources: readonly KeySource[]) {
    for (const source of sources) {
      for (const key of source.keys) this.#byHash.set(key.hash, { source, key })
    }
  }

  /**
   * Whose key it is; undefined: nobody's, or no longer.
   *
   * No comparison here takes longer the more of a key is guessed: what is looked up is the SHA-256 of what came, and nobody
   * can choose a key so that its hash begins like another one. Whatever the look-up tells by its time, it tells of a hash.
   */
  find(key: string, now: number): Caller | undefined {
    if (key.length === 0 || key.length > KEY_LENGTH_MAX) return undefined
    const caller = this.#byHash.get(keyHash(key))
    if (caller === undefined) return undefined
    const { notAfter } = caller.key
    return notAfter === undefined || now < notAfter ? caller : undefined
  }
}

/**
 * A key is 256 random bits, so a plain hash hides it as well as it can be hidden: there is nothing to guess that a slow hash
 * (as for passwords) would slow down, and each request would pay for it.
 */
export function keyHash(key: string): string {
  return hash('sha256', key, 'hex')
}

export interface PresentedKey {
  readonly key: string
  readonly inUrl: boolean
}

/** Each header with all its values, as they came: Node drops every Authorization but the first from the others. */
type HeaderValues = Readonly<Record<string, readonly string[] | undefined>>

/** The key that a request shows; undefined: none, or more than one, which somebody in between may see in another order. */
export function presentedKey(headers: HeaderValues, query: unknown): PresentedKey | undefined {
  const { authorization = [], [KEY_HEADER]: keys = [] } = headers
  if (authorization.length > 1) return undefined
  const [, bearer] = /^bearer +(\S+) *$/i.exec(authorization[0] ?? '') ?? []
  const found = [...(bearer === undefined ? [] : [bearer]), ...keys].map((key) => ({ key, inUrl: false }))
  const parameter = typeof query === 'object' && query !== null ? Object.entries(query) : []
  for (const [name, value] of parameter) {
    if (name === KEY_PARAMETER) found.push({ key: typeof value === 'string' ? value : '', inUrl: true })
  }
  return found.length === 1 ? found[0] : undefined
}
