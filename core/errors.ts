/**
 * The one catalogue of errors. Each says whose fault it is, whether trying again can help, and (in docs/errors.md) what
 * to do. A message is a sentence: what was given, what is allowed, what to do next.
 */
export type Blame = 'user' | 'external' | 'internal'

interface ErrorKind {
  readonly blame: Blame
  /** True where the same call may succeed later without anyone changing anything. */
  readonly retry: boolean
}

export const ERROR_KINDS = {
  // settings and usage
  ONCEWARD_E_USAGE: { blame: 'user', retry: false },
  ONCEWARD_E_SETTING_UNKNOWN: { blame: 'user', retry: false },
  ONCEWARD_E_SETTING_INVALID: { blame: 'user', retry: false },
  ONCEWARD_E_FILE_UNREADABLE: { blame: 'user', retry: false },
  ONCEWARD_E_FILE_UNWRITABLE: { blame: 'user', retry: false },
  ONCEWARD_E_SCHEMA_INVALID: { blame: 'user', retry: false },
  // rules
  ONCEWARD_E_RULE_SYNTAX: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_KEY: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_MISSING_KEY: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_FIELD: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_FUNCTION: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_WRONG_TYPE: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_WRONG_VALUE: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_REWARD_COUNT: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_SEGMENT: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_EVENT: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNKNOWN_POOL: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNREACHABLE: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_DIVISION: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNBOUNDED: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_COST: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_UNUSED: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_DUPLICATE: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_VERSION_CHANGED: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_TOO_SOON: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_RETIRED: { blame: 'user', retry: false },
  ONCEWARD_E_RULE_NOT_PUBLISHED: { blame: 'user', retry: false },
  // the log
  ONCEWARD_E_LOG_UNAVAILABLE: { blame: 'external', retry: true },
  ONCEWARD_E_LOG_REFUSED: { blame: 'external', retry: false },
  ONCEWARD_E_LOG_TOPIC_MISSING: { blame: 'user', retry: false },
  ONCEWARD_E_LOG_RECORD_TOO_LARGE: { blame: 'user', retry: false },
  ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE: { blame: 'external', retry: false },
  /** Another producer has taken this transactional id: this one is a zombie and its transaction did not commit. */
  ONCEWARD_E_LOG_FENCED: { blame: 'external', retry: false },
  /** Nobody knows whether the transaction committed: open the transactional id again, read the committed offset, recover. */
  ONCEWARD_E_LOG_COMMIT_UNKNOWN: { blame: 'external', retry: true },
  ONCEWARD_E_LOG_CLOSED: { blame: 'internal', retry: false },
  // state
  ONCEWARD_E_STATE_LOCKED: { blame: 'user', retry: true },
  ONCEWARD_E_STATE_UNUSABLE: { blame: 'external', retry: false },
  ONCEWARD_E_STATE_CORRUPT: { blame: 'external', retry: true },
  ONCEWARD_E_STATE_OUTDATED: { blame: 'external', retry: true },
  ONCEWARD_E_STATE_INPUT_LOST: { blame: 'user', retry: false },
  ONCEWARD_E_STATE_INPUT_RESET: { blame: 'user', retry: false },
  ONCEWARD_E_STATE_CHANGELOG_LOST: { blame: 'user', retry: false },
  // ledger and wallet
  ONCEWARD_E_LEDGER_UNAVAILABLE: { blame: 'external', retry: true },
  ONCEWARD_E_LEDGER_REFUSED: { blame: 'external', retry: false },
  /** The server's settings let it forget what it has acknowledged. */
  ONCEWARD_E_LEDGER_NOT_DURABLE: { blame: 'user', retry: false },
  ONCEWARD_E_POSTGRES_EMBEDDED: { blame: 'external', retry: false },
  ONCEWARD_E_MONEY_INVALID: { blame: 'external', retry: false },
  ONCEWARD_E_TASK_MALFORMED: { blame: 'external', retry: false },
  ONCEWARD_E_WALLET_UNAVAILABLE: { blame: 'external', retry: true },
  ONCEWARD_E_WALLET_REFUSED: { blame: 'external', retry: false },
  // policy, back office, reconciliation
  ONCEWARD_E_POLICY_INVALID: { blame: 'user', retry: false },
  ONCEWARD_E_POLICY_VERSION_CHANGED: { blame: 'user', retry: false },
  ONCEWARD_E_PARTNERS_INVALID: { blame: 'user', retry: false },
  ONCEWARD_E_ADDRESS_FORBIDDEN: { blame: 'user', retry: false },
  ONCEWARD_E_REWARD_UNKNOWN: { blame: 'user', retry: false },
  /** The reward is not in a state in which this can be done, or a gate or the budget is against it. */
  ONCEWARD_E_REWARD_REFUSED: { blame: 'user', retry: false },
  /** Somebody else has decided already. */
  ONCEWARD_E_HOLD_DECIDED: { blame: 'user', retry: false },
  ONCEWARD_E_STATEMENT_INVALID: { blame: 'user', retry: false },
  // the front door: what a caller of the gateway or of another HTTP interface is told
  ONCEWARD_E_GATEWAY_INVALID: { blame: 'user', retry: false },
  ONCEWARD_E_MAPPING_INVALID: { blame: 'user', retry: false },
  ONCEWARD_E_REQUEST_MALFORMED: { blame: 'user', retry: false },
  ONCEWARD_E_REQUEST_UNAUTHENTICATED: { blame: 'user', retry: false },
  ONCEWARD_E_REQUEST_FORBIDDEN: { blame: 'user', retry: false },
  ONCEWARD_E_REQUEST_TOO_LARGE: { blame: 'user', retry: false },
  ONCEWARD_E_REQUEST_LIMITED: { blame: 'user', retry: true },
  /** The same id came before with other content. */
  ONCEWARD_E_REQUEST_CONFLICT: { blame: 'user', retry: false },
  // schemas and their registry
  ONCEWARD_E_SCHEMA_INCOMPATIBLE: { blame: 'user', retry: false },
  ONCEWARD_E_REGISTRY_UNAVAILABLE: { blame: 'external', retry: true },
  ONCEWARD_E_REGISTRY_REFUSED: { blame: 'external', retry: false },
  // dead letters
  ONCEWARD_E_LETTER_UNKNOWN: { blame: 'user', retry: false },
  ONCEWARD_E_LETTER_REFUSED: { blame: 'user', retry: false },
  /** Somebody else has decided already. */
  ONCEWARD_E_LETTER_DECIDED: { blame: 'user', retry: false },
  // the audit log
  /** It was changed, or something of it is gone. */
  ONCEWARD_E_AUDIT_BROKEN: { blame: 'external', retry: false },
  ONCEWARD_E_AUDIT_UNWRITABLE: { blame: 'external', retry: true },
  ONCEWARD_E_ARCHIVE_UNAVAILABLE: { blame: 'external', retry: true },
  ONCEWARD_E_ARCHIVE_REFUSED: { blame: 'external', retry: false },
  // replay
  ONCEWARD_E_REPLAY_REFUSED: { blame: 'user', retry: false },
  ONCEWARD_E_REPLAY_GAP: { blame: 'user', retry: false },
  // anything else
  ONCEWARD_E_GAVE_UP: { blame: 'external', retry: false },
  ONCEWARD_E_INTERNAL: { blame: 'internal', retry: false },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof ERROR_KINDS

/** Every expected failure of Onceward. `code` is stable and listed in docs/errors.md. */
export class OncewardError extends Error {
  override name = 'OncewardError'
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  get blame(): Blame {
    return ERROR_KINDS[this.code].blame
  }

  get retry(): boolean {
    return ERROR_KINDS[this.code].retry
  }
}

/** True where `error` is an OncewardError with one of `codes`. */
export function hasCode(error: unknown, ...codes: ErrorCode[]): error is OncewardError {
  return error instanceof OncewardError && codes.includes(error.code)
}

/** The text of whatever was thrown, for messages. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
