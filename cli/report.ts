import { inspect } from 'node:util'
import { type Blame, hasCode, OncewardError } from '../core/errors.ts'

/** How a command ended. */
export const EXIT = { fine: 0, failed: 1, usage: 2 } as const

export function exitCodeOf(error: unknown): number {
  const usage = hasCode(error, 'ONCEWARD_E_USAGE', 'ONCEWARD_E_SETTING_UNKNOWN', 'ONCEWARD_E_SETTING_INVALID')
  return usage ? EXIT.usage : EXIT.failed
}

/** What a person reads on stderr: one paragraph for an expected failure, a stack and an excuse for a bug. */
export function errorReport(error: unknown, command?: string): string {
  const who = command === undefined ? 'onceward' : `onceward ${command}`
  if (!(error instanceof OncewardError)) {
    return `${who}: this is a bug in Onceward, not a mistake of yours; please report it with the lines below.\n${inspect(error)}\n`
  }
  const message = error.message.replace(/[.\s]+$/, '')
  const stack = error.blame === 'internal' ? `\n${inspect(error)}` : ''
  return `${who}: ${message}.\n${error.code}: ${whatNext(error, command)}${stack}\n`
}

const BLAME: Record<Blame, string> = {
  user: 'something that was given is wrong',
  external: 'something that Onceward depends on failed',
  internal: 'this is a bug in Onceward; please report it with the lines below',
}

function whatNext(error: OncewardError, command: string | undefined): string {
  if (exitCodeOf(error) === EXIT.usage) {
    return `${BLAME.user}; see onceward ${command === undefined ? '--help' : `help ${command}`}`
  }
  const again = error.retry ? '; trying again later can help' : ''
  return `${BLAME[error.blame]}${again}; docs/errors.md says what to do`
}
