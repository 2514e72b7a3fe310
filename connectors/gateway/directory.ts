import type { Provider } from '../../core/ports/gateway.ts'
import type { AddressList } from './addresses.ts'
import type { KeyTable } from './keys.ts'

/** Whom the gateway knows, as its file says at one time. A request sees one of these from its beginning to its end. */
export interface Directory {
  /** Whose X-Forwarded-For and country header are believed. */
  readonly trustedProxies: AddressList
  /** In lower case. */
  readonly countryHeader: string | undefined
  /** Whose pages may send events from a browser. */
  readonly origins: ReadonlySet<string>
  readonly keys: KeyTable
  readonly providers: ReadonlyMap<string, Provider>
}
