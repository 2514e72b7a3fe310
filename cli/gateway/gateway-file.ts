import { createSecretKey } from 'node:crypto'
import { dirname } from 'node:path'
import type { Node } from 'yaml'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import type { Directory } from '../../connectors/gateway/directory.ts'
import { type KeySource, KeyTable } from '../../connectors/gateway/keys.ts'
import type { GatewayTls } from '../../connectors/gateway/server.ts'
import type { Privacy, Provider } from '../../core/ports/gateway.ts'
import { type Outside, type OutsideOfFile, readEntryFile } from '../partners/entry-secrets.ts'
import { type Fields, LocatedYaml } from '../partners/located-yaml.ts'
import { privacyProblem } from '../../pipeline/gateway/privacy.ts'
import { readProviders } from './providers-file.ts'
import { readAddresses, readSource } from './sources-entry.ts'

const KEYS = ['trusted_proxies', 'country_header', 'cors', 'privacy', 'sources', 'providers', 'tls'] as const
const PRIVACY_KEYS = ['pass', 'hash', 'hash_key_file'] as const
const TLS_KEYS = ['cert_file', 'key_file', 'client_ca_file'] as const
/** Shorter keys could be guessed, and with them what was hashed. */
const HASH_KEY_LENGTH_MIN = 16

/** What a file of the gateway says (docs/GATEWAY.md has its form). */
export interface GatewayFile {
  readonly directory: Directory
  /** undefined: plain HTTP. */
  readonly tls: GatewayTls | undefined
}

/**
 * Reads a gateway's file. Paths in it are relative to it. Throws ONCEWARD_E_GATEWAY_INVALID, for a mapping
 * ONCEWARD_E_MAPPING_INVALID, with file:line:column; no secret ever stands in a message.
 */
export async function readGatewayFile(file: string, text: string, outside: Outside): Promise<GatewayFile> {
  return new Reader(file, outside).read(text)
}

class Reader {
  readonly #yaml: LocatedYaml
  readonly #outside: OutsideOfFile

  constructor(file: string, outside: Outside) {
    this.#yaml = new LocatedYaml(file, { code: 'ONCEWARD_E_GATEWAY_INVALID', begins: 'sources' })
    this.#outside = { ...outside, folder: dirname(file) }
  }

  async read(text: string): Promise<GatewayFile> {
    const yaml = this.#yaml
    const top = yaml.map(yaml.parse(text), 'the file', KEYS)
    const privacy = await this.#privacy(top)
    const written = this.#sources(top, privacy)
    const providers = await this.#providers(top, privacy, written)
    const sources = withReserved(written, providers)
    if (sources.length + providers.length === 0) {
      throw top.wrong('sources', 'nobody could send anything; write sources:, or providers:, or both')
    }
    const tls = await this.#tls(top, providers)
    const directory = {
      trustedProxies: readAddresses(top, 'trusted_proxies') ?? new AddressList([]),
      countryHeader: this.#countryHeader(top),
      origins: this.#origins(top),
      keys: new KeyTable(sources),
      providers: new Map(providers.map((provider) => [provider.source.name, provider])),
    }
    return { directory, tls }
  }

  async #privacy(top: Fields): Promise<Privacy> {
    const node = top.node('privacy')
    if (node === undefined) return { pass: undefined, hash: [] }
    const fields = this.#yaml.map(node, 'privacy', PRIVACY_KEYS)
    const right = 'paths of an event such as context.session_id'
    const privacy = { pass: fields.texts('pass', right), hash: fields.texts('hash', right) ?? [] }
    const wrong = privacyProblem(privacy)
    if (wrong !== undefined) throw fields.wrong(wrong.list, wrong.problem)
    const path = fields.text('hash_key_file', 'the path of a file with a random text')
    if (path === undefined) {
      if (privacy.hash.length > 0)
        throw fields.wrong('hash', 'what is hashed needs a key; name its file: hash_key_file')
      return privacy
    }
    const key = (await readEntryFile(fields, { key: 'hash_key_file', path }, this.#outside)).trim()
    if (key.length < HASH_KEY_LENGTH_MIN) {
      throw fields.wrong(
        'hash_key_file',
        `${path} holds less than ${HASH_KEY_LENGTH_MIN} characters; write a random text into it`,
      )
    }
    return { ...privacy, hashKey: createSecretKey(key, 'utf8') }
  }

  #sources(top: Fields, privacy: Privacy): readonly KeySource[] {
    const nodes = top.list('sources', 'write one entry for each source of events') ?? []
    const sources: KeySource[] = []
    for (const node of nodes) {
      const source = readSource(this.#yaml, node, privacy)
      this.#refuseTwice(node, source, sources)
      sources.push(source)
    }
    return sources
  }

  #refuseTwice(node: Node, source: KeySource, before: readonly KeySource[]): void {
    const { name } = source.source
    if (before.some((other) => other.source.name === name)) {
      throw this.#yaml.wrong(node, `there is a source ${name} above; give each its own name`)
    }
    const others = [...before.flatMap((other) => other.keys), ...source.keys]
    for (const key of source.keys) {
      const same = others.filter((other) => other.hash === key.hash || other.id === key.id)
      if (same.length > 1) {
        throw this.#yaml.wrong(
          node,
          `the key ${key.id} is there twice, by its id or by its hash; each key is one source's`,
        )
      }
    }
  }

  async #providers(top: Fields, privacy: Privacy, sources: readonly KeySource[]): Promise<readonly Provider[]> {
    const nodes = top.list('providers', 'write one entry for each provider')
    if (nodes === undefined) return []
    const providers = await readProviders(this.#yaml, nodes, { outside: this.#outside, privacy })
    for (const [index, { source }] of providers.entries()) {
      if (sources.some((other) => other.source.name === source.name)) {
        throw this.#yaml.wrong(nodes[index] ?? 0, `there is a source ${source.name} as well; give each its own name`)
      }
    }
    return providers
  }

  #countryHeader(top: Fields): string | undefined {
    const right = 'the name of a header such as cf-ipcountry'
    const name = top.text('country_header', right)
    if (name === undefined) return undefined
    if (!/^[A-Za-z0-9-]{1,64}$/.test(name)) throw top.wrong('country_header', `"${name}" is no header; write ${right}`)
    if (top.node('trusted_proxies') === undefined) {
      throw top.wrong('country_header', 'anybody could set it; say under trusted_proxies: whose is believed')
    }
    return name.toLowerCase()
  }

  #origins(top: Fields): ReadonlySet<string> {
    const node = top.node('cors')
    if (node === undefined) return new Set()
    const fields = this.#yaml.map(node, 'cors', ['origins'])
    const right = 'origins such as https://play.example'
    const origins = fields.required('origins', fields.texts('origins', right), right)
    for (const origin of origins) {
      if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
        throw fields.wrong('origins', `"${origin}" is no origin; write scheme and host, such as https://play.example`)
      }
    }
    return new Set(origins)
  }

  async #tls(top: Fields, providers: readonly Provider[]): Promise<GatewayTls | undefined> {
    const asking = providers.find((provider) => provider.asksForCertificate)
    const node = top.node('tls')
    if (node === undefined) {
      if (asking === undefined) return undefined
      throw top.wrong('providers', `${asking.source.name} shows a certificate, which needs tls: with client_ca_file`)
    }
    const fields = this.#yaml.map(node, 'tls', TLS_KEYS)
    const pem = async (key: (typeof TLS_KEYS)[number]): Promise<string | undefined> => {
      const path = fields.text(key, 'the path of a PEM file')
      return path === undefined ? undefined : readEntryFile(fields, { key, path }, this.#outside)
    }
    const [cert, key, clientCa] = [await pem('cert_file'), await pem('key_file'), await pem('client_ca_file')]
    if (cert === undefined || key === undefined) throw this.#yaml.wrong(node, 'tls needs cert_file and key_file')
    if (asking !== undefined && clientCa === undefined) {
      throw this.#yaml.wrong(node, `${asking.source.name} shows a certificate; name who signed it: client_ca_file`)
    }
    return { cert, key, clientCa, asksForCertificate: asking !== undefined }
  }
}

/** Anybody can send with a public key; the ids of whoever is trusted are not for them. */
function withReserved(sources: readonly KeySource[], providers: readonly Provider[]): readonly KeySource[] {
  const trusted = [...sources, ...providers].map(({ source }) => source).filter((source) => source.trusted)
  const reserved = trusted.map(({ name }) => name)
  return sources.map((each) => (each.source.trusted ? each : { ...each, source: { ...each.source, reserved } }))
}
