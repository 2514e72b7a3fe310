/**
 * A typed store: a prefix in the partition's key space and a codec. Keys are texts (UTF-8 on disk), so a store's order is
 * the order of their bytes. Prefixes are one character and registered in state/stores.ts alone.
 */
export interface Store<V> {
  readonly name: string
  readonly prefix: string
  encode(value: V): Buffer
  decode(bytes: Buffer): V
}

/** A store whose values are JSON on disk: legible with any tool, and fast enough where profiled. */
export function jsonStore<V>(name: string, prefix: string): Store<V> {
  return {
    name,
    prefix,
    encode: (value) => Buffer.from(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(bytes.toString()) as V,
  }
}

/** The range of all keys that begin with the one-character `prefix`. */
export function prefixRange(prefix: string): { readonly gte: Buffer; readonly lt: Buffer } {
  return { gte: Buffer.from(prefix), lt: Buffer.from(String.fromCharCode(prefix.charCodeAt(0) + 1)) }
}
