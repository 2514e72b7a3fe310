import { AddressList, plainAddress } from '../addresses.ts'

/**
 * The addresses and networks that a provider calls from. IPv4 and IPv6 are listed apart: to Node's BlockList every IPv4 address
 * is within ::/0, so whoever allows all of IPv6 would allow all of IPv4.
 */
export class ProviderAddresses {
  readonly #v4: AddressList
  readonly #v6: AddressList

  /** Throws a RangeError with a sentence for what is neither an address nor a network such as 203.0.113.0/24. */
  constructor(texts: readonly string[]) {
    const isV6 = (text: string): boolean => plainAddress(text.split('/', 1)[0])?.includes(':') === true
    this.#v6 = new AddressList(texts.filter(isV6))
    this.#v4 = new AddressList(texts.filter((text) => !isV6(text)))
  }

  /** An IPv4 address in its mapped form is that IPv4 address; a zone is left aside. What is no address is in no list. */
  has(ip: string): boolean {
    const address = plainAddress(ip)
    if (address === undefined) return false
    return (address.includes(':') ? this.#v6 : this.#v4).has(address)
  }
}
