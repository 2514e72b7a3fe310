import { dirname } from 'node:path'
import type { Node } from 'yaml'
import { formatDuration, parseDuration } from '../../core/durations.ts'
import { hasCode } from '../../core/errors.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import { type Outside, type OutsideOfFile, readEntryFile, readEntrySecrets } from './entry-secrets.ts'
import { type Fields, LocatedYaml } from './located-yaml.ts'

export type { Outside } from './entry-secrets.ts'

export const CONCURRENCY = { default: 16, min: 1, max: 1_000 } as const
export const TIMEOUT_MS = { default: 10_000, min: 10, max: 25_000 } as const

const KEYS = [
  'name',
  'url',
  'secret_file',
  'secret_env',
  'types',
  'concurrency',
  'order',
  'timeout',
  'allow_hosts',
  'tls',
] as const
const TLS_KEYS = ['ca_file', 'cert_file', 'key_file'] as const
const NAME = /^[A-Za-z0-9_-]{1,64}$/
const SECRET_OWNER = { who: 'a partner', sharedWith: 'the sink' }

/**
 * Reads a file of partners (docs/OPERATIONS.md has its form). Paths in it are relative to it. Throws
 * ONCEWARD_E_PARTNERS_INVALID with file:line:column; secrets never stand in a message.
 */
export async function readPartners(file: string, text: string, outside: Outside): Promise<readonly PartnerSpec[]> {
  const yaml = new LocatedYaml(file, { code: 'ONCEWARD_E_PARTNERS_INVALID', begins: 'partners' })
  const top = yaml.map(yaml.parse(text), 'the file', ['partners'])
  const list = top.required(
    'partners',
    top.list('partners', 'write one entry for each partner'),
    'write a list of them',
  )
  const specs: PartnerSpec[] = []
  for (const node of list) {
    const spec = await new Entry(yaml, node, { ...outside, folder: dirname(file) }).read()
    refuseTwice(yaml, node, spec, specs)
    specs.push(spec)
  }
  return specs
}

function refuseTwice(yaml: LocatedYaml, node: Node, spec: PartnerSpec, before: readonly PartnerSpec[]): void {
  for (const other of before) {
    if (other.name === spec.name)
      throw yaml.wrong(node, `there is a partner ${spec.name} above; give each its own name`)
    const type = spec.types.find((each) => other.types.includes(each))
    if (type !== undefined) {
      throw yaml.wrong(node, `rewards of type "${type}" go to ${other.name} already; one partner pays each type`)
    }
  }
}

class Entry {
  readonly #fields: Fields
  readonly #yaml: LocatedYaml
  readonly #outside: OutsideOfFile

  constructor(yaml: LocatedYaml, node: Node, outside: OutsideOfFile) {
    this.#yaml = yaml
    this.#outside = outside
    this.#fields = yaml.map(node, 'a partner', KEYS)
  }

  async read(): Promise<PartnerSpec> {
    const fields = this.#fields
    const named = fields.text('name', 'letters, digits, _ and -')
    const name = fields.required('name', named, 'name it; the name stands in the ledger')
    if (!NAME.test(name))
      throw fields.wrong('name', `"${name}" cannot be a name; use up to 64 letters, digits, _ and -`)
    const types = fields.texts('types', 'reward types such as cash, or "*" for all that no other partner is named for')
    const tls = await this.#tls()
    return {
      name,
      url: this.#url(),
      secrets: await readEntrySecrets(fields, this.#outside, SECRET_OWNER),
      types: fields.required('types', types, 'say which reward types it pays, or "*" for all others'),
      concurrency: fields.wholeNumber('concurrency', CONCURRENCY) ?? CONCURRENCY.default,
      orderedByPlayer: this.#ordered(),
      timeoutMs: this.#timeoutMs(),
      allowHosts: fields.texts('allow_hosts', 'host names and addresses that may be private') ?? [],
      ...(tls === undefined ? {} : { tls }),
    }
  }

  #url(): string {
    const right = 'write one such as https://wallet.example/wallet/credit'
    const url = this.#fields.required('url', this.#fields.text('url', right), right)
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) {
      throw this.#fields.wrong('url', `this is no URL of a partner; ${right}`)
    }
    if (parsed.username !== '' || parsed.password !== '') {
      throw this.#fields.wrong('url', 'a URL must not hold a user or a password, which would stand in logs')
    }
    return url
  }

  #ordered(): boolean {
    const order = this.#fields.text('order', 'player')
    if (order === undefined || order === 'player') return order === 'player'
    throw this.#fields.wrong('order', 'order is player, for one order of a player after the other, or is left out')
  }

  #timeoutMs(): number {
    const written = this.#fields.text('timeout', 'a duration such as 10s')
    if (written === undefined) return TIMEOUT_MS.default
    try {
      const ms = parseDuration(written)
      if (ms >= TIMEOUT_MS.min && ms <= TIMEOUT_MS.max) return ms
    } catch (error) {
      if (!hasCode(error, 'ONCEWARD_E_SETTING_INVALID')) throw error
    }
    const range = `from ${formatDuration(TIMEOUT_MS.min)} to ${formatDuration(TIMEOUT_MS.max)}`
    throw this.#fields.wrong('timeout', `timeout is a duration ${range}, such as 10s`)
  }

  async #tls(): Promise<PartnerSpec['tls']> {
    const node = this.#fields.node('tls')
    if (node === undefined) return undefined
    const fields = this.#yaml.map(node, 'tls', TLS_KEYS)
    const read = async (key: (typeof TLS_KEYS)[number]): Promise<string | undefined> => {
      const path = fields.text(key, 'the path of a PEM file')
      return path === undefined ? undefined : this.#file(key, path, fields)
    }
    const [ca, cert, key] = [await read('ca_file'), await read('cert_file'), await read('key_file')]
    if ((cert === undefined) !== (key === undefined)) {
      throw this.#yaml.wrong(node, 'cert_file and key_file go together; give both or none')
    }
    return {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    }
  }

  #file(key: string, path: string, fields: Fields): Promise<string> {
    return readEntryFile(fields, { key, path }, this.#outside)
  }
}
