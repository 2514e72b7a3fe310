import { isAbsolute, dirname, join } from 'node:path'
import type { Node } from 'yaml'
import { formatDuration, parseDuration } from '../../core/durations.ts'
import { hasCode, messageOf } from '../../core/errors.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import { secretsIn } from '../secret-file.ts'
import { type Fields, LocatedYaml } from './located-yaml.ts'

/** What a file of partners may reach for: other files, and variables. */
export interface Outside {
  /** The text of a file; rejects where it cannot be read. */
  read(path: string): Promise<string>
  readonly environment: Readonly<Record<string, string | undefined>>
}

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
const VARIABLE = /^[A-Z][A-Z0-9_]*$/
const SECRETS_MAX = 2

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
  readonly #outside: Outside & { readonly folder: string }

  constructor(yaml: LocatedYaml, node: Node, outside: Outside & { readonly folder: string }) {
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
      secrets: await this.#secrets(),
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

  async #secrets(): Promise<readonly string[]> {
    const fields = this.#fields
    const right = 'one, or a list of two while they are exchanged, the current one first'
    const [files, variables] = [fields.texts('secret_file', right), fields.texts('secret_env', right)]
    if ((files === undefined) === (variables === undefined)) {
      throw fields.wrong(
        'name',
        'a partner has either secret_file or secret_env: where the secret is that it shares with the sink',
      )
    }
    const key = files === undefined ? 'secret_env' : 'secret_file'
    const secrets = files === undefined ? this.#fromVariables(variables ?? []) : await this.#fromFiles(files)
    if (secrets.length > SECRETS_MAX) {
      throw fields.wrong(key, `these are ${secrets.length} secrets; a partner has ${right}`)
    }
    return secrets
  }

  async #fromFiles(files: readonly string[]): Promise<string[]> {
    const secrets: string[] = []
    for (const file of files) {
      const found = secretsIn(await this.#file('secret_file', file))
      if (found.length === 0) throw this.#fields.wrong('secret_file', `${file} is empty; write the secret into it`)
      secrets.push(...found)
    }
    return secrets
  }

  #fromVariables(names: readonly string[]): string[] {
    return names.map((name) => {
      // Somebody may have written the secret itself here; so what does not look like a variable is not repeated.
      if (!VARIABLE.test(name)) {
        throw this.#fields.wrong('secret_env', 'secret_env names a variable: capital letters, digits and _')
      }
      const secret = this.#outside.environment[name]?.trim() ?? ''
      if (secret !== '') return secret
      throw this.#fields.wrong('secret_env', `the variable ${name} is not set; give it the secret`)
    })
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

  async #file(key: string, path: string, fields: Fields = this.#fields): Promise<string> {
    try {
      return await this.#outside.read(isAbsolute(path) ? path : join(this.#outside.folder, path))
    } catch (error) {
      throw fields.wrong(key, `${path} cannot be read: ${messageOf(error)}`)
    }
  }
}
