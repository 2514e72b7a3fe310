/** A strict S3: it works the signature out by itself, from the request as it came, and takes nothing that does not fit. */
import { createHash, createHmac } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

interface Held {
  content: Buffer
  lockedUntil: string | undefined
}

export interface FakeS3 {
  readonly endpoint: string
  readonly objects: Map<string, Held>
  readonly requests: string[]
  /** How often an object took the place of another. */
  overwritten: number
  /** Called before each request; what it answers is what the server answers instead; 0: nothing at all. */
  fault: ((request: string) => number | undefined) | undefined
  /** It takes objects but not their locks, as some servers do, or has buckets without Object Lock. */
  locks: 'with the object' | 'asked for by itself' | 'none'
  /** It does not say the hash of what it holds. */
  silent: boolean
  close(): Promise<void>
}

export const KEY_ID = 'AKIDEXAMPLE'
export const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
export const REGION = 'eu-central-1'

export async function startFakeS3(): Promise<FakeS3> {
  const server = createServer((request, response) => void answer(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const fake: FakeS3 = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects: new Map(),
    requests: [],
    overwritten: 0,
    fault: undefined,
    locks: 'with the object',
    silent: false,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return fake

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    const told = `${request.method ?? ''} ${request.url ?? ''}`
    fake.requests.push(told)
    const fault = fake.fault?.(told)
    if (fault === 0) return
    if (fault !== undefined) return void response.writeHead(fault).end('<Error><Code>SlowDown</Code></Error>')
    const problem = signatureProblem(request, body)
    if (problem !== undefined) return void response.writeHead(403).end(`<Error><Code>${problem}</Code></Error>`)
    serve(fake, { request, response, body })
  }
}

interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly body: Buffer
}

function serve(fake: FakeS3, { request, response, body }: Call): void {
  const url = new URL(request.url ?? '', 'http://x')
  const held = fake.objects.get(url.pathname)
  if (url.searchParams.has('retention')) return retention(fake, held, { request, response, body })
  if (request.method === 'PUT') {
    if (request.headers['if-none-match'] === '*' && held !== undefined) return void response.writeHead(412).end()
    const checksum = request.headers['x-amz-checksum-sha256']
    if (checksum !== hash(body).toString('base64'))
      return void response.writeHead(400).end('<Error><Code>BadDigest</Code></Error>')
    if (held !== undefined) fake.overwritten += 1
    const isLocked = fake.locks === 'with the object' && request.headers['x-amz-object-lock-mode'] === 'COMPLIANCE'
    const until = String(request.headers['x-amz-object-lock-retain-until-date'])
    fake.objects.set(url.pathname, { content: body, lockedUntil: isLocked ? until : undefined })
    return void response.writeHead(200).end()
  }
  if (held === undefined) return void response.writeHead(404).end()
  if (!fake.silent) response.setHeader('x-amz-checksum-sha256', hash(held.content).toString('base64'))
  if (fake.locks === 'with the object' && held.lockedUntil !== undefined) {
    response.setHeader('x-amz-object-lock-mode', 'COMPLIANCE')
    response.setHeader('x-amz-object-lock-retain-until-date', held.lockedUntil)
  }
  response.setHeader('content-length', held.content.length)
  response.writeHead(200).end(request.method === 'HEAD' ? undefined : held.content)
}

function retention(fake: FakeS3, held: Held | undefined, { request, response, body }: Call): void {
  if (held === undefined || fake.locks === 'none')
    return void response.writeHead(400).end('<Error><Code>InvalidRequest</Code></Error>')
  if (request.method === 'PUT') {
    held.lockedUntil = /<RetainUntilDate>([^<]+)</.exec(body.toString())?.[1]
    return void response.writeHead(200).end()
  }
  if (held.lockedUntil === undefined) return void response.writeHead(404).end()
  response
    .writeHead(200)
    .end(`<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>${held.lockedUntil}</RetainUntilDate></Retention>`)
}

/** Signature Version 4 as its specification has it: undefined where it holds. */
function signatureProblem(request: IncomingMessage, body: Buffer): string | undefined {
  const { headers } = request
  const [, credential = '', signedHeaders = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization ?? '',
    ) ?? []
  const [id, day = '', region = '', service = ''] = credential.split('/')
  if (id !== KEY_ID || region !== REGION || service !== 's3') return 'InvalidAccessKeyId'
  if (headers['x-amz-content-sha256'] !== hash(body).toString('hex')) return 'XAmzContentSHA256Mismatch'
  const names = signedHeaders.split(';')
  const unsigned = Object.keys(headers).filter((name) => name.startsWith('x-amz-') && !names.includes(name))
  if (unsigned.length > 0 || !names.includes('host')) return 'AccessDenied'
  const url = new URL(request.url ?? '', 'http://x')
  const query = [...url.searchParams]
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .sort()
    .join('&')
  const canonical = [
    request.method,
    url.pathname,
    query,
    ...names.map((name) => `${name}:${String(headers[name] ?? '').trim()}`),
    '',
    signedHeaders,
    headers['x-amz-content-sha256'],
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, hash(Buffer.from(canonical)).toString('hex')].join(
    '\n',
  )
  let key: Buffer = Buffer.from(`AWS4${SECRET}`)
  for (const part of scope.split('/')) key = mac(key, part)
  return mac(key, toSign).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch'
}

function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}

function mac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}
