/** CRC-32C (Castagnoli, reflected polynomial 0x82f63b78), which record batches carry; four bytes a step. */
const TABLES = tables()

/** A signed 32-bit integer over `bytes` from `start` to the end. */
export function crc32c(bytes: Buffer, start = 0): number {
  const { t0, t1, t2, t3 } = TABLES
  let crc = -1
  let at = start
  const whole = at + ((bytes.length - at) & ~3)
  for (; at < whole; at += 4) {
    crc ^= bytes.readInt32LE(at)
    crc = (t3[crc & 0xff] ?? 0) ^ (t2[(crc >>> 8) & 0xff] ?? 0) ^ (t1[(crc >>> 16) & 0xff] ?? 0) ^ (t0[crc >>> 24] ?? 0)
  }
  for (; at < bytes.length; at += 1) crc = (t0[(crc ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (crc >>> 8)
  return ~crc
}

function tables(): { t0: Int32Array; t1: Int32Array; t2: Int32Array; t3: Int32Array } {
  const t0 = new Int32Array(256)
  for (let n = 0; n < 256; n += 1) {
    let c = n
    for (let k = 0; k < 8; k += 1) c = (c & 1) === 1 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1
    t0[n] = c
  }
  const next = (table: Int32Array): Int32Array => table.map((value) => (t0[value & 0xff] ?? 0) ^ (value >>> 8))
  const t1 = next(t0)
  const t2 = next(t1)
  return { t0, t1, t2, t3: next(t2) }
}
