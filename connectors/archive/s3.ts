import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { Agent, request } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { Archive, ArchivedObject, ToArchive } from '../../core/ports/archive.ts'

export interface S3Options {
  readonly bucket: string
  readonly region: string
  /** Of a server other than Amazon's, `https://minio.example:9000`: then the bucket stands in the path. */
  readonly endpoint?: string | undefined
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string | undefined
  readonly clock: Clock
  /** For one request; default 60,000. */
  readonly timeoutMs?: number
  /** Tries of one request that the server may take later; default 4. */
  readonly tries?: number
}

interface Asked {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  readonly key: string
  readonly query?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

const RETRY_MS = 500

/** An archive in a bucket with Object Lock, at Amazon or at anything that speaks its language. */
export function openS3Archive(options: S3Options): Archive {
  return new S3Archive(options)
}

class S3Archive implements Archive {
  readonly name: string
  readonly #options: S3Options
  readonly #agent: Agent
  readonly #timeoutMs: number

  constructor(options: S3Options) {
    this.#options = options
    this.name = `bucket ${options.bucket}`
    this.#timeoutMs = options.timeoutMs ?? 60_000
    this.#agent = new Agent({ connect: { timeout: Math.min(10_000, this.#timeoutMs) } })
  }

  async look(key: string): Promise<ArchivedObject | undefined> {
    const head = await this.#send({ method: 'HEAD', key, headers: { 'x-amz-checksum-mode': 'ENABLED' } })
    if (head.status === 404) return undefined
    if (head.status !== 200) throw refused(this.name, `HEAD ${key}`, head)
    const checksum = head.headers['x-amz-checksum-sha256']
    return {
      bytes: Number(head.headers['content-length']),
      sha256: typeof checksum === 'string' ? Buffer.from(checksum, 'base64').toString('hex') : undefined,
      lockedUntil: lockOfHead(head) ?? (await this.#retention(key)),
    }
  }

  /**
   * 1. What is there already stays, and must be the same.
   * 2. PUT, only if nothing is there, with the hash by which the server checks what it got, and the lock.
   * 3. Where the server has taken the object without its lock, the lock is asked for by itself.
   * 4. The server says what it holds.
   */
  async store(object: ToArchive): Promise<'stored' | 'known'> {
    const { key, content, sha256, lockUntil } = object
    const known = await this.look(key)
    if (known === undefined) {
      const until = new Date(lockUntil).toISOString()
      const put = await this.#send({
        method: 'PUT',
        key,
        body: content,
        headers: {
          'content-type': 'application/x-ndjson',
          'content-md5': createHash('md5').update(content).digest('base64'),
          'if-none-match': '*',
          'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'),
          'x-amz-object-lock-mode': 'COMPLIANCE',
          'x-amz-object-lock-retain-until-date': until,
        },
      })
      // 412: somebody else was faster; what they have stored is looked at below.
      if (put.status !== 200 && put.status !== 412) throw refused(this.name, `PUT ${key}`, put)
    }
    if ((known ?? (await this.look(key)))?.lockedUntil === undefined) await this.#lock(key, lockUntil)
    await this.#check(object)
    return known === undefined ? 'stored' : 'known'
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #lock(key: string, lockUntil: number): Promise<void> {
    const until = new Date(lockUntil).toISOString()
    const text = `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`
    const body = Buffer.from(text)
    const headers = {
      'content-type': 'application/xml',
      'content-md5': createHash('md5').update(body).digest('base64'),
    }
    const answer = await this.#send({ method: 'PUT', key, query: 'retention', body, headers })
    if (answer.status !== 200) throw refused(this.name, `the lock of ${key}`, answer)
  }

  async #check({ key, content, sha256 }: ToArchive): Promise<void> {
    const held = await this.look(key)
    const same =
      held !== undefined && held.bytes === content.length && (held.sha256 ?? (await this.#hashOf(key))) === sha256
    if (!same) {
      throw new OncewardError(
        'ONCEWARD_E_ARCHIVE_REFUSED',
        `the ${this.name} holds something else under ${key}, which stays; compare it with the segment: one of the two was changed, or two logs share the bucket and need different prefixes`,
      )
    }
    if (held.lockedUntil === undefined) {
      throw new OncewardError(
        'ONCEWARD_E_ARCHIVE_REFUSED',
        `the ${this.name} holds ${key} without a lock; use a bucket that was made with Object Lock`,
      )
    }
  }

  async #hashOf(key: string): Promise<string> {
    const answer = await this.#send({ method: 'GET', key })
    if (answer.status !== 200) throw refused(this.name, `GET ${key}`, answer)
    return createHash('sha256').update(answer.body).digest('hex')
  }

  async #retention(key: string): Promise<number | undefined> {
    const answer = await this.#send({ method: 'GET', key, query: 'retention' })
    if (answer.status !== 200) return undefined
    const text = answer.body.toString()
    const until = Date.parse(/<RetainUntilDate>([^<]+)</.exec(text)?.[1] ?? '')
    return text.includes('>COMPLIANCE<') && !Number.isNaN(until) ? until : undefined
  }

  /** Tries again what the server may take later. Throws ONCEWARD_E_ARCHIVE_UNAVAILABLE. */
  async #send(asked: Asked): Promise<Answer> {
    const { tries = 4, clock } = this.#options
    let problem = ''
    for (let attempt = 1; attempt <= tries; attempt += 1) {
      if (attempt > 1) await clock.sleep(RETRY_MS * 2 ** (attempt - 2))
      try {
        const answer = await this.#sendOnce(asked)
        if (answer.status < 500 && answer.status !== 429) return answer
        problem = `it answers ${answer.status}`
      } catch (error) {
        problem = messageOf(error)
      }
    }
    throw new OncewardError(
      'ONCEWARD_E_ARCHIVE_UNAVAILABLE',
      `the ${this.name} cannot be reached: ${problem}; check the endpoint, or try again later`,
    )
  }

  async #sendOnce({ method, key, query, headers = {}, body }: Asked): Promise<Answer> {
    const { clock, accessKeyId, secretAccessKey, sessionToken, region } = this.#options
    const content = createHash('sha256')
      .update(body ?? '')
      .digest('hex')
    const signed = await new AwsV4Signer({
      method,
      url: `${this.#address()}/${key}${query === undefined ? '' : `?${query}=`}`,
      headers: { ...headers, 'x-amz-content-sha256': content },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      service: 's3',
      region,
      datetime: new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    }).sign()
    const timeout = new AbortController()
    const done = new AbortController()
    void this.#limit(timeout, done.signal)
    try {
      const answer = await request(signed.url, {
        method,
        headers: Object.fromEntries(signed.headers),
        body: body ?? null,
        dispatcher: this.#agent,
        signal: timeout.signal,
      })
      return { status: answer.statusCode, headers: answer.headers, body: Buffer.from(await answer.body.arrayBuffer()) }
    } finally {
      done.abort()
    }
  }

  async #limit(timeout: AbortController, done: AbortSignal): Promise<void> {
    await this.#options.clock.sleep(this.#timeoutMs, done)
    if (!done.aborted) timeout.abort(new Error(`no answer within ${this.#timeoutMs} ms`))
  }

  #address(): string {
    const { endpoint, bucket, region } = this.#options
    if (endpoint === undefined) return `https://${bucket}.s3.${region}.amazonaws.com`
    return `${endpoint.replace(/\/+$/, '')}/${bucket}`
  }
}

function lockOfHead({ headers }: Answer): number | undefined {
  if (headers['x-amz-object-lock-mode'] !== 'COMPLIANCE') return undefined
  const until = Date.parse(String(headers['x-amz-object-lock-retain-until-date']))
  return Number.isNaN(until) ? undefined : until
}

function refused(name: string, what: string, { status, body }: Answer): OncewardError {
  const code = /<Code>([^<]+)<\/Code>/.exec(body.toString())?.[1]
  return new OncewardError(
    'ONCEWARD_E_ARCHIVE_REFUSED',
    `the ${name} refuses ${what}: ${status}${code === undefined ? '' : ` ${code}`}; check bucket, credentials and that it has Object Lock`,
  )
}
