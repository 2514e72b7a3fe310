/**
 * Writes a small MaxMind database: just as much of the format as a reader needs. MaxMind's own test files cannot be had without
 * the network. Source: https://maxmind.github.io/MaxMind-DB/
 */
interface Network {
  /** Bits from the left, as 0 and 1. */
  readonly bits: string
  readonly country: string
}

const RECORD_BYTES = 3
const METADATA_MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')

/** IPv4 networks with their countries, such as `{ '203.0.113.0/24': 'DE' }`. */
export function mmdbOf(countries: Readonly<Record<string, string>>): Buffer {
  const networks = Object.entries(countries).map(([cidr, country]): Network => ({ bits: bitsOf(cidr), country }))
  const data: Buffer[] = []
  const nodes: [Target, Target][] = [[undefined, undefined]]
  let dataBytes = 0
  for (const { bits, country } of networks) {
    const record = map({ country: map({ iso_code: text(country) }) })
    let node = 0
    for (let depth = 0; depth < bits.length; depth++) {
      const side = bits[depth] === '1' ? 1 : 0
      const pair = nodes[node] ?? [undefined, undefined]
      if (depth === bits.length - 1) {
        pair[side] = { data: dataBytes }
      } else {
        const next = pair[side]
        if (next === undefined || 'data' in next) pair[side] = { node: nodes.push([undefined, undefined]) - 1 }
        const below = pair[side]
        node = below !== undefined && 'node' in below ? below.node : 0
      }
    }
    data.push(record)
    dataBytes += record.length
  }
  const tree = Buffer.concat(nodes.flatMap((pair) => pair.map((target) => recordOf(target, nodes.length))))
  return Buffer.concat([tree, Buffer.alloc(16), ...data, METADATA_MARKER, metadataOf(nodes.length)])
}

type Target = { readonly node: number } | { readonly data: number } | undefined

/** A node's number, the count of nodes for nothing, or above it where the data stands: 16 bytes behind the tree. */
function recordOf(target: Target, nodes: number): Buffer {
  const value = target === undefined ? nodes : 'node' in target ? target.node : nodes + 16 + target.data
  const bytes = Buffer.alloc(RECORD_BYTES)
  bytes.writeUIntBE(value, 0, RECORD_BYTES)
  return bytes
}

function metadataOf(nodes: number): Buffer {
  return map({
    node_count: unsigned(6, nodes),
    record_size: unsigned(5, RECORD_BYTES * 8),
    ip_version: unsigned(5, 4),
    database_type: text('Test-Country'),
    languages: control(11, 0),
    binary_format_major_version: unsigned(5, 2),
    binary_format_minor_version: unsigned(5, 0),
    build_epoch: unsigned(6, 1_764_320_400),
    description: map({ en: text('test') }),
  })
}

function bitsOf(cidr: string): string {
  const [address = '', length = '32'] = cidr.split('/')
  const bits = address.split('.').map((part) => Number(part).toString(2).padStart(8, '0'))
  return bits.join('').slice(0, Number(length))
}

/** Type and size; types above 7 have a byte of their own. */
function control(type: number, size: number): Buffer {
  return type > 7 ? Buffer.of(size, type - 7) : Buffer.of((type << 5) | size)
}

function text(value: string): Buffer {
  return Buffer.concat([control(2, value.length), Buffer.from(value)])
}

/** Type 5 has 16 bits, type 6 has 32. */
function unsigned(type: 5 | 6, value: number): Buffer {
  const bytes = Buffer.alloc(type === 5 ? 2 : 4)
  bytes.writeUIntBE(value, 0, bytes.length)
  return Buffer.concat([control(type, bytes.length), bytes])
}

function map(entries: Readonly<Record<string, Buffer>>): Buffer {
  const pairs = Object.entries(entries)
  return Buffer.concat([control(7, pairs.length), ...pairs.flatMap(([key, value]) => [text(key), value])])
}
