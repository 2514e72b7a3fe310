/** Reading and writing Kafka's wire format. Numbers of 64 bits are offsets, times and producer ids: all below 2^53. */
const TWO_32 = 4_294_967_296

export class ByteReader {
  offset = 0
  readonly #bytes: Buffer

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  int8(): number {
    return this.#bytes.readInt8((this.offset += 1) - 1)
  }

  int16(): number {
    return this.#bytes.readInt16BE((this.offset += 2) - 2)
  }

  int32(): number {
    return this.#bytes.readInt32BE((this.offset += 4) - 4)
  }

  int64(): number {
    return readInt64(this.#bytes, (this.offset += 8) - 8)
  }

  /** null where the length is negative. */
  string(): string | null {
    const length = this.int16()
    return length < 0 ? null : this.#text(length)
  }

  bytes(): Buffer {
    const length = this.int32()
    if (length <= 0) return this.#bytes.subarray(0, 0)
    return this.#bytes.subarray(this.offset, (this.offset += length))
  }

  array<T>(read: () => T): T[] {
    const length = this.int32()
    const items: T[] = []
    for (let i = 0; i < length; i += 1) items.push(read())
    return items
  }

  unsignedVarint(): number {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes.readUInt8((this.offset += 1) - 1)
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
  }

  compactString(): string | null {
    const length = this.unsignedVarint() - 1
    return length < 0 ? null : this.#text(length)
  }

  compactArray<T>(read: () => T): T[] {
    const length = this.unsignedVarint() - 1
    const items: T[] = []
    for (let i = 0; i < length; i += 1) items.push(read())
    return items
  }

  skipTags(): void {
    for (let left = this.unsignedVarint(); left > 0; left -= 1) {
      this.unsignedVarint()
      const length = this.unsignedVarint()
      this.offset += length
    }
  }

  get left(): number {
    return this.#bytes.length - this.offset
  }

  #text(length: number): string {
    return this.#bytes.toString('utf8', this.offset, (this.offset += length))
  }
}

export class ByteWriter {
  readonly #parts: Buffer[] = []

  int8(value: number): this {
    return this.#put(1, (bytes) => bytes.writeInt8(value))
  }

  int16(value: number): this {
    return this.#put(2, (bytes) => bytes.writeInt16BE(value))
  }

  int32(value: number): this {
    return this.#put(4, (bytes) => bytes.writeInt32BE(value))
  }

  int64(value: number): this {
    return this.#put(8, (bytes) => writeInt64(bytes, 0, value))
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const text = Buffer.from(value)
    return this.int16(text.length).raw(text)
  }

  bytes(value: Buffer): this {
    return this.int32(value.length).raw(value)
  }

  array<T>(items: readonly T[], write: (item: T) => void): this {
    this.int32(items.length)
    for (const item of items) write(item)
    return this
  }

  unsignedVarint(value: number): this {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80)
    return this.raw(Buffer.from([...bytes, rest]))
  }

  compactString(value: string): this {
    const text = Buffer.from(value)
    return this.unsignedVarint(text.length + 1).raw(text)
  }

  compactArray<T>(items: readonly T[], write: (item: T) => void): this {
    this.unsignedVarint(items.length + 1)
    for (const item of items) write(item)
    return this
  }

  noTags(): this {
    return this.unsignedVarint(0)
  }

  raw(bytes: Buffer): this {
    this.#parts.push(bytes)
    return this
  }

  result(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #put(size: number, write: (bytes: Buffer) => void): this {
    const bytes = Buffer.allocUnsafe(size)
    write(bytes)
    this.#parts.push(bytes)
    return this
  }
}

export function readInt64(bytes: Buffer, offset: number): number {
  return bytes.readInt32BE(offset) * TWO_32 + bytes.readUInt32BE(offset + 4)
}

export function writeInt64(bytes: Buffer, offset: number, value: number): void {
  const high = Math.floor(value / TWO_32)
  bytes.writeInt32BE(high, offset)
  bytes.writeUInt32BE(value - high * TWO_32, offset + 4)
}
