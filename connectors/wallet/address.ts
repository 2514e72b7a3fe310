/**
 * Which addresses a partner may be called at. A URL from a configuration, and the name servers behind it, must not be able
 * to make the sink talk to its own network: to a database, a neighbour's port or the cloud's metadata service.
 *
 * IPv6 is refused unless it is known to be public (2000::/3 without what is set aside in it); IPv4 is public unless it is
 * known not to be. Sources: the IANA special-purpose address registries for IPv4 and IPv6, RFC 6890; RFC 6052 for NAT64.
 */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { OncewardError } from '../../core/errors.ts'

const FORBIDDEN_V4: readonly (readonly [string, number, string])[] = [
  ['0.0.0.0', 8, 'this host'],
  ['10.0.0.0', 8, 'private'],
  ['100.64.0.0', 10, 'shared by carriers'],
  ['127.0.0.0', 8, 'loopback'],
  ['168.63.129.16', 32, "a cloud's metadata service"],
  ['169.254.0.0', 16, "link-local, the cloud's metadata service among them"],
  ['172.16.0.0', 12, 'private'],
  ['192.0.0.0', 24, 'reserved for protocols'],
  ['192.0.2.0', 24, 'for documentation'],
  ['192.88.99.0', 24, 'a relay of 6to4'],
  ['192.168.0.0', 16, 'private'],
  ['198.18.0.0', 15, 'for benchmarks'],
  ['198.51.100.0', 24, 'for documentation'],
  ['203.0.113.0', 24, 'for documentation'],
  ['224.0.0.0', 4, 'multicast'],
  ['240.0.0.0', 4, 'reserved'],
]

/** Within 2000::/3. Teredo and 6to4 carry IPv4 addresses, are switched off nearly everywhere, and no partner lives there. */
const FORBIDDEN_V6: readonly (readonly [string, number, string])[] = [
  ['2001::', 23, 'reserved for protocols, Teredo among them'],
  ['2001:db8::', 32, 'for documentation'],
  ['2002::', 16, '6to4, which carries an IPv4 address'],
  ['3fff::', 20, 'for documentation'],
]

const KINDS = [
  ...FORBIDDEN_V4.map(([net, bits, kind]) => ({ list: listOf(net, bits, 'ipv4'), family: 'ipv4' as const, kind })),
  ...FORBIDDEN_V6.map(([net, bits, kind]) => ({ list: listOf(net, bits, 'ipv6'), family: 'ipv6' as const, kind })),
]
const GLOBAL_UNICAST = listOf('2000::', 3, 'ipv6')
const MAPPED = listOf('::ffff:0:0', 96, 'ipv6')
/** Networks without IPv4 of their own reach every IPv4 host by these. */
const NAT64 = listOf('64:ff9b::', 96, 'ipv6')

function listOf(net: string, bits: number, family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  list.addSubnet(net, bits, family)
  return list
}

/** What is wrong with an IP address (`private`, `loopback`, …); undefined: it is public. A zone (`%eth0`) is left aside. */
export function forbiddenKind(address: string): string | undefined {
  const plain = withoutZone(address)
  if (isIPv4(plain)) return kindOf(plain, 'ipv4')
  if (!isIPv6(plain)) return 'no IP address'
  if (MAPPED.check(plain, 'ipv6')) return ofEmbedded(plain, 'IPv4 within IPv6')
  if (NAT64.check(plain, 'ipv6')) return ofEmbedded(plain, 'IPv4 behind NAT64')
  if (!GLOBAL_UNICAST.check(plain, 'ipv6')) return 'not a public IPv6 address'
  return kindOf(plain, 'ipv6')
}

function kindOf(address: string, family: 'ipv4' | 'ipv6'): string | undefined {
  return KINDS.find((each) => each.family === family && each.list.check(address, family))?.kind
}

function ofEmbedded(address: string, how: string): string | undefined {
  const kind = kindOf(lastFourBytes(address), 'ipv4')
  return kind === undefined ? undefined : `${kind}, as ${how}`
}

/** Of an IPv6 address, as IPv4. */
function lastFourBytes(address: string): string {
  const dotted = address.split(':').at(-1) ?? ''
  if (isIPv4(dotted)) return dotted
  // The two last groups; whatever `::` left out is zero.
  const [high = '0', low = '0'] = address.endsWith('::') ? [] : groupsAtEnd(address)
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return [a >> 8, a & 255, b >> 8, b & 255].join('.')
}

function groupsAtEnd(address: string): [string, string] {
  const [high = '', low = ''] = address.split(':').slice(-2)
  return [high === '' ? '0' : high, low]
}

function withoutZone(address: string): string {
  return address.split('%', 1)[0] ?? ''
}

/**
 * A host in the one spelling that WHATWG URLs give it: lower case, an IPv4 address dotted whatever it was written as
 * (`2130706433`, `0x7f.1`), IPv6 compressed and without brackets, no dot at the end; and IPv4 written as IPv6, as a socket for
 * both families tells it (`::ffff:10.0.0.1`), as IPv4. Undefined where it is no host.
 */
export function canonicalHost(host: string): string | undefined {
  const text = isIPv6(host) ? `[${host}]` : host
  if (/[/?#@*\\\s]/.test(text) || !URL.canParse(`http://${text}/`)) return undefined
  const { hostname, port } = new URL(`http://${text}/`)
  if (port !== '' || hostname === '') return undefined
  return unmapped(hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.+$/, ''))
}

export interface AddressGuard {
  /** True where the host is named as one that may be called at any address. */
  hostAllowed(host: string): boolean
  /** What is wrong with calling `host` at this IP address; undefined: nothing. */
  problem(host: string, address: string): string | undefined
}

/**
 * `allowHosts` as in a PartnerSpec: a host name allows whatever it resolves to, an address itself under any name. Throws
 * ONCEWARD_E_PARTNERS_INVALID where one is neither, such as a range: it would allow nothing, and nobody would know why.
 */
export function addressGuard(allowHosts: readonly string[]): AddressGuard {
  const allowed = new Set(allowHosts.map(requiredHost))
  const named = (host: string): boolean => {
    const canonical = canonicalHost(withoutZone(host))
    return canonical !== undefined && allowed.has(canonical)
  }
  return {
    hostAllowed: named,
    problem(host, address) {
      if (named(host) || named(address)) return undefined
      const kind = forbiddenKind(address)
      if (kind === undefined) return undefined
      const what = isIP(host) === 0 ? `${host} is at ${address}, which is` : `${address} is`
      return `${what} not a public address (${kind}); where it is meant, name the host in the partner's allowHosts`
    },
  }
}

function requiredHost(text: string): string {
  const host = canonicalHost(text)
  if (host !== undefined) return host
  throw new OncewardError(
    'ONCEWARD_E_PARTNERS_INVALID',
    `allowHosts has "${text}", which is neither a host name nor an address; write each without port, path or range`,
  )
}

function unmapped(host: string): string {
  return isIPv6(host) && MAPPED.check(host, 'ipv6') ? lastFourBytes(host) : host
}
