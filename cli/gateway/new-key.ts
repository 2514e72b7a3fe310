import { randomBytes } from 'node:crypto'
import { keyHash } from '../../connectors/gateway/keys.ts'

/** Scanners for leaked secrets find keys by how they begin. */
const KEY_PREFIX = 'onceward_'
const KEY_BYTES = 32

/** What `onceward keys create` prints: the key, once, and the entry of the gateway's file, with its hash. */
export function createKey(id: string): string {
  const key = `${KEY_PREFIX}${randomBytes(KEY_BYTES).toString('base64url')}`
  return [
    key,
    '',
    'The key is shown this once. Give it to whoever sends, and write this line under keys: of the source:',
    `  - { id: ${JSON.stringify(id)}, hash: "sha256:${keyHash(key)}" }`,
    '',
  ].join('\n')
}
