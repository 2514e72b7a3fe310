import { isScalar, type Node } from 'yaml'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import { admit, mayCall, type ProviderTrust } from '../../connectors/gateway/provider/admission.ts'
import { type SigningKey, signingKeys } from '../../connectors/wallet/signature.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { Privacy, Provider } from '../../core/ports/gateway.ts'
import type { CompiledMapping } from '../../rules/mapping.ts'
import { type OutsideOfFile, pathOf, readEntryFile, readEntrySecrets } from '../partners/entry-secrets.ts'
import type { Fields, LocatedYaml } from '../partners/located-yaml.ts'
import { readLimits } from './limits-entry.ts'
import { mappingOf } from './provider-mapping.ts'

export const PROVIDER_KEYS = [
  'name',
  'secret_file',
  'secret_env',
  'signature',
  'allow_ips',
  'client_certificates',
  'mapping',
  'events',
  'limits',
  'dead_letters',
] as const

const NAME = /^[A-Za-z0-9_-]{1,64}$/
const FINGERPRINT = /^sha256:[0-9a-f]{64}$/
const SECRET_OWNER = { who: 'a provider', sharedWith: 'the gateway' }
const ADDRESSES_RIGHT = 'list the addresses and networks it calls from, such as [203.0.113.0/24, "2001:db8::/32"]'

export interface ProvidersGiven {
  /** What the file may reach for. */
  readonly outside: OutsideOfFile
  /** What of their events may pass: the gateway's. */
  readonly privacy: Privacy
}

/**
 * Reads the entries below `providers` of the gateway's file (docs/PROVIDERS.md has their form). Paths in them are relative to
 * it. Throws ONCEWARD_E_GATEWAY_INVALID with file:line:column, or, for what is wrong in a mapping,
 * ONCEWARD_E_MAPPING_INVALID with all of it. No secret stands in a message.
 */
export async function readProviders(
  yaml: LocatedYaml,
  entries: readonly Node[],
  given: ProvidersGiven,
): Promise<readonly Provider[]> {
  const providers: Provider[] = []
  for (const node of entries) {
    const provider = await new Entry(yaml, node, given).read()
    const { name } = provider.source
    if (providers.some(({ source }) => source.name === name)) {
      throw yaml.wrong(node, `there is a provider ${name} above; give each its own name`)
    }
    providers.push(provider)
  }
  return providers
}

class Entry {
  readonly #fields: Fields
  readonly #yaml: LocatedYaml
  readonly #given: ProvidersGiven

  constructor(yaml: LocatedYaml, node: Node, given: ProvidersGiven) {
    this.#yaml = yaml
    this.#given = given
    this.#fields = yaml.map(node, 'a provider', PROVIDER_KEYS)
  }

  async read(): Promise<Provider> {
    const fields = this.#fields
    const name = this.#name()
    const trust = await this.#trust()
    const events = this.#events()
    const mapping = await this.#mapping(trust, events)
    return {
      source: {
        name,
        kind: 'webhook',
        events,
        trusted: true,
        privacy: this.#given.privacy,
        deadLetters: this.#deadLetters(),
      },
      limits: readLimits(this.#yaml, fields.node('limits')),
      asksForCertificate: trust.certificates !== undefined,
      mayCall: (facts) => mayCall(trust, facts),
      admit: (facts) => admit(trust, facts),
      map: (body, request) => mapping.map(body, request),
    }
  }

  #name(): string {
    const fields = this.#fields
    const right = 'name it; it calls /v1/webhooks/<name>'
    const name = fields.required('name', fields.text('name', right), right)
    if (NAME.test(name)) return name
    throw fields.wrong('name', `"${name}" cannot be a name; use up to 64 letters, digits, _ and -`)
  }

  async #trust(): Promise<ProviderTrust> {
    const fields = this.#fields
    const written = fields.texts('allow_ips', ADDRESSES_RIGHT)
    const certificates = this.#certificates()
    if (written === undefined && certificates === undefined) {
      const either = 'a provider has allow_ips or client_certificates, so that not everybody can try its secret'
      throw fields.wrong('name', `${either}: ${ADDRESSES_RIGHT}; where it has no fixed ones, write allow_ips: any`)
    }
    return {
      keys: await this.#keys(),
      standardOnly: this.#signature() === 'standard',
      addresses: written === undefined ? undefined : this.#addresses(written),
      certificates,
    }
  }

  /** undefined: any. */
  #addresses(written: readonly string[]): AddressList | undefined {
    if (written.includes('any')) {
      if (written.length === 1) return undefined
      throw this.#fields.wrong('allow_ips', 'any stands alone: beside it no address would count')
    }
    try {
      return new AddressList(written)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      throw this.#fields.wrong('allow_ips', `${error.message}; ${ADDRESSES_RIGHT}, or write any`)
    }
  }

  /** As openssl and browsers show them, with colons and in either case, too. */
  #certificates(): ReadonlySet<string> | undefined {
    const right = 'write "sha256:" and the 64 hexadecimal digits of the SHA-256 fingerprint'
    const written = this.#fields.texts('client_certificates', right)
    if (written === undefined) return undefined
    const prints = written.map((text) => {
      const print = `sha256:${text
        .toLowerCase()
        .replace(/^sha256:/, '')
        .replaceAll(':', '')}`
      if (FINGERPRINT.test(print)) return print
      throw this.#fields.wrong('client_certificates', `this is no fingerprint of a certificate; ${right}`)
    })
    return new Set(prints)
  }

  async #keys(): Promise<readonly SigningKey[]> {
    const secrets = await readEntrySecrets(this.#fields, this.#given.outside, SECRET_OWNER)
    try {
      return signingKeys(secrets)
    } catch (error) {
      if (!hasCode(error, 'ONCEWARD_E_PARTNERS_INVALID')) throw error
      const key = this.#fields.node('secret_file') === undefined ? 'secret_env' : 'secret_file'
      throw this.#fields.wrong(key, messageOf(error))
    }
  }

  #signature(): 'any' | 'standard' {
    const right = 'any (X-Signature, Standard Webhooks or both) or standard (Standard Webhooks alone, which is safer)'
    const written = this.#fields.text('signature', right) ?? 'any'
    if (written === 'any' || written === 'standard') return written
    throw this.#fields.wrong('signature', `signature is ${right}`)
  }

  #events(): ReadonlySet<string> | undefined {
    const events = this.#fields.texts('events', 'the names of the events that it may send, such as [bet, win]')
    return events === undefined ? undefined : new Set(events)
  }

  async #mapping(trust: ProviderTrust, events: ReadonlySet<string> | undefined): Promise<CompiledMapping> {
    const fields = this.#fields
    const right = 'name the file that says how its bodies become events: mapping: gameco.mapping.yaml'
    const path = fields.required('mapping', fields.text('mapping', right), right)
    const { outside } = this.#given
    const text = await readEntryFile(fields, { key: 'mapping', path }, outside)
    const mapping = mappingOf({ file: pathOf(path, outside), text })
    const refused = [...(mapping.eventNames ?? [])].find((name) => events?.has(name) === false)
    if (refused !== undefined) {
      throw fields.wrong('events', `the mapping makes "${refused}", which this provider may not send; add it to events`)
    }
    if (mapping.usesRequest && !trust.standardOnly) {
      const why = `${path} takes request.received_at or request.id, which are others when a captured call is sent again`
      throw fields.wrong('mapping', `${why}; take a field of the body, or write signature: standard`)
    }
    return mapping
  }

  #deadLetters(): boolean {
    const node = this.#fields.node('dead_letters')
    if (node === undefined) return true
    if (isScalar(node) && typeof node.value === 'boolean') return node.value
    throw this.#fields.wrong('dead_letters', 'dead_letters is true or false')
  }
}
