import { createHmac, timingSafeEqual } from 'node:crypto'

/** The value of `X-Signature` (SPEC S4): HMAC-SHA256 over the bytes of the body. */
export function signatureOf(secret: string, body: Buffer | string): string {
  return `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`
}

/** Compares in constant time, so that the answer's delay tells nothing of the right signature. */
export function signatureMatches(secret: string, body: Buffer | string, given: string | undefined): boolean {
  const expected = Buffer.from(signatureOf(secret, body))
  const actual = Buffer.from(given ?? '')
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
