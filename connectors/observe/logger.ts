import { destination, pino, type Logger as PinoLogger } from 'pino'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/ports/logger.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

export interface LoggerOptions {
  readonly level: LogLevel
  /** Stamps the lines. */
  readonly clock: Clock
  /** Where lines go; stderr by default, because stdout is for results. */
  readonly destination?: { write(line: string): void }
}

/** Fields that must never reach a log, wherever they stand. */
const SECRET_FIELD = /secret|password|passwd|token|authorization|signature|api[-_]?key|credential/i
const DEPTH_MAX = 6
const HIDDEN = '[hidden]'

/**
 * JSON lines, one a message: `level`, `time` (RFC 3339), the fields, `msg`. Quiet by default is the caller's affair
 * (`warn`). Fields whose name says that they are secret, and passwords within URLs, are hidden.
 */
export function createLogger(options: LoggerOptions): Logger {
  const inner = pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date(options.clock.now()).toISOString()}"`,
      formatters: {
        level: (label) => ({ level: label }),
        log: (fields) => hideSecrets(fields, 0) as Record<string, unknown>,
      },
      // The formatter above has made plain fields of every error already.
      serializers: { err: (fields: unknown) => fields },
    },
    options.destination ?? destination({ dest: 2, sync: true }),
  )
  return hidingBindings(inner)
}

/** pino does not format what a child is bound to. */
function hidingBindings(inner: PinoLogger): Logger {
  return {
    debug: (fields, message) => inner.debug(fields, message),
    info: (fields, message) => inner.info(fields, message),
    warn: (fields, message) => inner.warn(fields, message),
    error: (fields, message) => inner.error(fields, message),
    child: (fields) => hidingBindings(inner.child(hideSecrets(fields, 0) as Record<string, unknown>)),
  }
}

/** A copy without secrets. Errors become plain fields with their code and cause, so that JSON shows them. */
export function hideSecrets(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return hideUrlPassword(value)
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (depth >= DEPTH_MAX) return '[deeper]'
  if (value instanceof Error) return errorFields(value, depth)
  if (value instanceof Date || Buffer.isBuffer(value)) return String(value)
  if (Array.isArray(value)) return value.map((item) => hideSecrets(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [
      name,
      SECRET_FIELD.test(name) ? HIDDEN : hideSecrets(inner, depth + 1),
    ]),
  )
}

function errorFields(error: Error, depth: number): Record<string, unknown> {
  return {
    ...('code' in error ? { code: error.code } : {}),
    type: error.name,
    message: hideUrlPassword(error.message),
    ...(error.stack === undefined ? {} : { stack: hideUrlPassword(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: hideSecrets(error.cause, depth + 1) }),
  }
}

function hideUrlPassword(text: string): string {
  return text.includes('://') ? text.replaceAll(/(:\/\/[^\s:/@]*):[^\s@/]+@/g, `$1:${HIDDEN}@`) : text
}
