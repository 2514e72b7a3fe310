import type { FastifyInstance } from 'fastify'
import { OncewardError } from '../../core/errors.ts'

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; stop it, or choose another port (0 takes any free one)',
  EACCES: 'this user may not listen there; choose a port above 1023',
  EADDRNOTAVAIL: 'this machine has no such address; choose 0.0.0.0 or 127.0.0.1',
  ENOTFOUND: 'there is no such host name; choose 0.0.0.0 or 127.0.0.1',
}

/** Answers the port. Throws ONCEWARD_E_SETTING_INVALID where it cannot be had. */
export async function listenOn(
  app: FastifyInstance,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<number> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const reason = REASONS[code] ?? (error instanceof Error ? error.message : String(error))
    throw new OncewardError('ONCEWARD_E_SETTING_INVALID', `cannot listen on ${host}:${port}: ${reason}`, {
      cause: error,
    })
  }
  const address = app.server.address()
  return typeof address === 'object' && address !== null ? address.port : port
}
