import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { MEDIA_TYPES } from './contract.ts'
import { malformed, type Refusal } from '../../core/refusal.ts'
import { ClientGone, overloaded, tooLarge } from './refusal.ts'

/** Bytes that are read on, and thrown away, so that a client that is still sending can read its refusal. */
const DISCARD_BYTES_MAX = 1_048_576

/** What all bodies may take of memory at once. */
export class BodyBudget {
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Bytes that are held now. */
  get bytes(): number {
    return this.#bytes
  }

  open(): Held {
    let mine = 0
    return {
      grow: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) throw overloaded()
        this.#bytes += bytes
        mine += bytes
      },
      release: () => {
        this.#bytes -= mine
        mine = 0
      },
    }
  }
}

/** What one request holds of the budget. */
export interface Held {
  /** Throws a refusal with 503 where there is no room for so many bytes more. */
  grow(bytes: number): void
  release(): void
}

/** Refuses what does not call itself JSON or text (415), and what is encoded in any way but gzip. */
export function checkMediaType(headers: IncomingMessage['headers']): void {
  const [type = ''] = (headers['content-type'] ?? '').split(';')
  const media = type.trim().toLowerCase()
  if (!MEDIA_TYPES.some((known) => known === media)) {
    throw malformed(`the Content-Type must be ${MEDIA_TYPES.join(' or ')}`, 415)
  }
  if (encodingOf(headers) === undefined) throw malformed('the Content-Encoding must be gzip, or left out', 415)
}

function encodingOf(headers: IncomingMessage['headers']): 'gzip' | 'identity' | undefined {
  const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  return encoding === 'gzip' || encoding === 'identity' ? encoding : undefined
}

/** The body as it comes, before anything is unpacked. Rejects with a refusal, or with ClientGone. */
export async function readBody(request: IncomingMessage, limit: number, held: Held): Promise<Buffer> {
  if (Number(request.headers['content-length'] ?? 0) > limit) throw bodyTooLarge(limit)
  return await collect(request, limit, held)
}

/** Of a body that was read, as it came. Throws a refusal with 413. */
export function checkSize(body: Buffer, limit: number): void {
  if (body.length > limit) throw bodyTooLarge(limit)
}

function bodyTooLarge(limit: number): Refusal {
  return tooLarge(`the body has more than the ${limit} bytes that this source may send at once`)
}

function collect(request: IncomingMessage, limit: number, held: Held): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const settle = (how: () => void): void => {
      request.off('data', take)
      request.off('end', end)
      request.off('close', gone)
      how()
    }
    const take = (chunk: Buffer): void => {
      bytes += chunk.length
      try {
        if (bytes > limit) throw bodyTooLarge(limit)
        held.grow(chunk.length)
        chunks.push(chunk)
      } catch (error) {
        settle(() => reject(error))
      }
    }
    const end = (): void => settle(() => resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)))
    const gone = (): void => settle(() => reject(new ClientGone('the client went away while it sent the body')))
    request.on('data', take)
    request.on('end', end)
    request.on('close', gone)
    // What comes after is told by `close`; without a listener it would be thrown.
    request.on('error', () => undefined)
    if (request.destroyed && !request.complete) gone()
  })
}

/**
 * Lets the rest of a body run off, so that the connection stays usable and the client, which may read nothing before it has
 * sent all, sees its answer. One that goes on and on is cut.
 */
export function discard(request: IncomingMessage): void {
  if (request.complete) return
  let bytes = 0
  request.on('error', () => undefined)
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > DISCARD_BYTES_MAX) request.destroy()
  })
  request.resume()
}

const unzip = promisify<Buffer, { readonly maxOutputLength: number }, Buffer>(gunzip)

/** The body as it was before it was packed; never more than `limit` bytes are unpacked. */
export async function unpack(
  body: Buffer,
  headers: IncomingMessage['headers'],
  { limit, held }: { readonly limit: number; readonly held: Held },
): Promise<Buffer> {
  if (encodingOf(headers) !== 'gzip') return body
  held.grow(limit)
  try {
    return await unzip(body, { maxOutputLength: limit })
  } catch (error) {
    if (isTooLong(error)) {
      throw tooLarge(`the body has more than the ${limit} bytes, unpacked, that this source may send at once`)
    }
    throw malformed('the body is not gzip, as its Content-Encoding says')
  }
}

function isTooLong(error: unknown): boolean {
  return error instanceof RangeError && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
}
