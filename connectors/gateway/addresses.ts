import { BlockList, isIP, SocketAddress } from 'node:net'

/** Addresses and networks, IPv4 and IPv6; an IPv4 address in its mapped form is that IPv4 address. */
export class AddressList {
  readonly #list = new BlockList()
  readonly #empty: boolean

  /** Throws a RangeError with a sentence for what is neither an address nor a network such as 10.0.0.0/8. */
  constructor(texts: readonly string[]) {
    this.#empty = texts.length === 0
    for (const text of texts) {
      const network = networkOf(text)
      if (network === undefined)
        throw new RangeError(`"${text}" is neither an address nor a network such as 10.0.0.0/8`)
      const { address, bits } = network
      this.#list.addSubnet(address, bits, familyOf(address))
    }
  }

  /** `address`: as `plainAddress` gives it; anything else is in no list. */
  has(address: string): boolean {
    return !this.#empty && isIP(address) !== 0 && this.#list.check(address, familyOf(address))
  }
}

/**
 * An address in its one form: IPv4 never mapped, IPv6 in lower case and shortened, without zone; undefined for what is no
 * address. A port behind it, as some proxies write, is left out.
 */
export function plainAddress(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const [, bracketed] = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(text) ?? []
  const [, withPort] = /^([\d.]+):\d{1,5}$/.exec(text) ?? []
  const [address = ''] = (bracketed ?? withPort ?? text).split('%')
  const family = isIP(address)
  if (family === 4) return address
  if (family !== 6) return undefined
  const short = new SocketAddress({ address, family: 'ipv6' }).address
  const [, mapped] = /^::ffff:([\d.]+)$/.exec(short) ?? []
  return mapped ?? short
}

/** What one caller can have any number of: an IPv4 address, or the first 64 bits of an IPv6 one. */
export function networkKey(address: string): string {
  if (!address.includes(':')) return address
  const [head = '', tail] = address.split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length)
  const groups = [...front, ...Array.from({ length: missing }, () => '0'), ...back]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** ::ffff:0:0/96, which holds the IPv4 addresses. */
const MAPPED_BITS = 96

function networkOf(text: string): { readonly address: string; readonly bits: number } | undefined {
  const [written = '', prefix, ...more] = text.split('/')
  const family = isIP(written)
  if (family === 0 || more.length > 0 || (prefix !== undefined && !/^\d{1,3}$/.test(prefix))) return undefined
  const bitsMax = family === 4 ? 32 : 128
  const bits = prefix === undefined ? bitsMax : Number(prefix)
  const address = plainAddress(written)
  if (address === undefined || bits > bitsMax) return undefined
  if (family === 4 || address.includes(':')) return { address, bits }
  return bits >= MAPPED_BITS ? { address, bits: bits - MAPPED_BITS } : undefined
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}
