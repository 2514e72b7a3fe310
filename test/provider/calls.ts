import { createHmac } from 'node:crypto'
import type { WebhookFacts } from '../../core/ports/gateway.ts'

/** Of the public tests of the Standard Webhooks libraries; the specification's example is in the tests. */
export const VECTOR = {
  secret: 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  seconds: 1_614_265_330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
} as const

/** `v1,…`, by a reading of the specification of its own: nothing of the product is used. */
export function v1(
  secret: string,
  { id, seconds, body }: { id: string; seconds: number | string; body: string | Buffer },
): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  return `v1,${createHmac('sha256', key).update(`${id}.${seconds}.`).update(body).digest('base64')}`
}

/** `sha256=…` */
export function plain(secret: string, body: string | Buffer): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/** As Node gives them: name, value, name, value, in any case. */
export function raw(headers: Headers): string[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === 'object' ? value : value === undefined ? [] : [value]).flatMap((each) => [name, each]),
  )
}

export function factsOf(headers: Headers, change: Partial<WebhookFacts> = {}): WebhookFacts {
  return {
    ip: '203.0.113.7',
    clientCertificate: undefined,
    rawHeaders: raw(headers),
    body: Buffer.from(VECTOR.body),
    now: VECTOR.seconds * 1_000,
    ...change,
  }
}
