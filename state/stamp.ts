/**
 * What a partition's store says of itself: whose it is, and which input and changelog it reflects. Written in the same
 * batch as the state it describes, so it is never ahead of it nor behind.
 */
export interface Stamp {
  readonly format: number
  readonly application: string
  readonly partition: number
  /** The next input offset to read; NO_INPUT_OFFSET where the state is level with none for good. */
  readonly inputOffset: number
  /** The next changelog offset to apply. */
  readonly changelogOffset: number
  /** Wall clock, ms since the epoch, when it was written: tombstones older than this may be gone from the changelog. */
  readonly writtenAt: number
}

/**
 * In a stamp: what follows in the changelog must be applied before use, because it was applied up to the middle of a commit,
 * or because more commits at the same input offset may follow.
 */
export const NO_INPUT_OFFSET = -1

/** Raised whenever the layout of the store changes: an older store is then rebuilt from the changelog. */
export const STORE_FORMAT = 1

export function encodeStamp(stamp: Stamp): Buffer {
  return Buffer.from(JSON.stringify(stamp))
}

/** undefined where the bytes are no stamp: such a store cannot be trusted. */
export function decodeStamp(bytes: Buffer): Stamp | undefined {
  try {
    const value = JSON.parse(bytes.toString()) as Partial<Stamp> | null
    const numbers = [value?.format, value?.partition, value?.inputOffset, value?.changelogOffset, value?.writtenAt]
    return typeof value?.application === 'string' && numbers.every(Number.isSafeInteger) ? (value as Stamp) : undefined
  } catch {
    return undefined
  }
}
