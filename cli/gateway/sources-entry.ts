import type { Node } from 'yaml'
import { AddressList } from '../../connectors/gateway/addresses.ts'
import { SCOPES, type Scope } from '../../connectors/gateway/contract.ts'
import type { ApiKey, KeySource } from '../../connectors/gateway/keys.ts'
import { messageOf } from '../../core/errors.ts'
import type { Privacy } from '../../core/ports/gateway.ts'
import { parseTimestamp } from '../../operators/timestamp.ts'
import type { Fields, LocatedYaml } from '../partners/located-yaml.ts'
import { readLimits } from './limits-entry.ts'

const KEYS = ['name', 'public', 'keys', 'scopes', 'events', 'allow_ips', 'limits', 'dead_letters'] as const
const KEY_KEYS = ['id', 'hash', 'not_after'] as const
export const NAME = /^[A-Za-z0-9_-]{1,64}$/
export const NAME_RIGHT = 'up to 64 letters, digits, _ and -'

/** One entry of `sources:`. Throws with the place of what is wrong; a key's hash is no secret, but is not repeated either. */
export function readSource(yaml: LocatedYaml, node: Node, privacy: Privacy): KeySource {
  const fields = yaml.map(node, 'a source', KEYS)
  const name = readName(fields, 'name', 'name it; the name stands in metrics and in the audit log')
  const isPublic = fields.flag('public') ?? false
  const events = fields.texts('events', 'event names such as session_start')
  if (isPublic && events === undefined) {
    throw fields.wrong('public', 'anybody can read a public key, so say under events: which events it may send')
  }
  const scopes = readScopes(fields)
  if (isPublic && scopes.some((scope) => scope !== 'events:write')) {
    throw fields.wrong('scopes', 'anybody can read a public key, so its only scope is events:write')
  }
  return {
    source: {
      name,
      kind: 'key',
      events: events === undefined ? undefined : new Set(events),
      trusted: !isPublic,
      privacy,
      deadLetters: fields.flag('dead_letters') ?? false,
    },
    limits: readLimits(yaml, fields.node('limits')),
    public: isPublic,
    scopes: new Set(scopes),
    allowIps: readAddresses(fields, 'allow_ips'),
    keys: readKeys(yaml, fields),
  }
}

export function readName(fields: Fields, key: string, right: string): string {
  const name = fields.required(key, fields.text(key, NAME_RIGHT), right)
  if (NAME.test(name)) return name
  throw fields.wrong(key, `"${name}" cannot be a ${key}; use ${NAME_RIGHT}`)
}

/** undefined: there is no such key. */
export function readAddresses(fields: Fields, key: string): AddressList | undefined {
  const texts = fields.texts(key, 'addresses and networks such as 203.0.113.0/24 or 2001:db8::/32')
  if (texts === undefined) return undefined
  try {
    return new AddressList(texts)
  } catch (error) {
    throw fields.wrong(key, messageOf(error))
  }
}

function readScopes(fields: Fields): readonly Scope[] {
  const texts = fields.texts('scopes', SCOPES.join(', '))
  if (texts === undefined) return ['events:write']
  return texts.map((text) => {
    const scope = SCOPES.find((known) => known === text)
    if (scope !== undefined) return scope
    throw fields.wrong('scopes', `"${text}" is no scope; there are ${SCOPES.join(', ')}`)
  })
}

function readKeys(yaml: LocatedYaml, source: Fields): readonly ApiKey[] {
  const right = 'onceward keys create makes one, and prints the entry for it'
  const nodes = source.required('keys', source.list('keys', right), right)
  return nodes.map((node) => {
    const fields = yaml.map(node, 'a key', KEY_KEYS)
    return {
      id: readName(fields, 'id', 'it stands in the audit log in the place of the key'),
      hash: readHash(fields),
      notAfter: readNotAfter(fields),
    }
  })
}

function readHash(fields: Fields): string {
  const right = 'sha256: and 64 hexadecimal digits, as onceward keys create prints it'
  const [, digits] = /^sha256:([0-9a-f]{64})$/i.exec(fields.required('hash', fields.text('hash', right), right)) ?? []
  if (digits !== undefined) return digits.toLowerCase()
  // Somebody may have written the key itself here, so it is not repeated.
  throw fields.wrong('hash', `this is no hash of a key; write ${right}`)
}

function readNotAfter(fields: Fields): number | undefined {
  const right = 'a time such as 2026-12-31T00:00:00Z, from which on the key is not taken'
  const text = fields.text('not_after', right)
  if (text === undefined) return undefined
  const ms = parseTimestamp(text)
  if (!Number.isNaN(ms)) return ms
  throw fields.wrong('not_after', `"${text}" is no time; write ${right}`)
}
