import type { JsonObject } from '../model/event.ts'

/** One thing that happened and must stay known as it was: a request as it came, a decision, a command. */
export interface AuditEntry {
  /** Unix milliseconds. */
  readonly at: number
  /** `request`, `answer`, `refusal`, `decision`, `command`, …: what `body` holds. */
  readonly kind: string
  /** Bytes stand in it as base64, under a name that ends in `_base64`. */
  readonly body: JsonObject
}

/** Appends to one chain of the audit log. Calls may overlap; records stand in the order of the calls. */
export interface AuditLog {
  /**
   * Resolves once the entries are handed to the operating system: they survive a SIGKILL of this process. A failing disk
   * rejects with ONCEWARD_E_AUDIT_UNWRITABLE, and nothing of the call counts as written; a later call may succeed.
   */
  append(entries: readonly AuditEntry[]): Promise<void>
  /** Anchors the head and ends the segment. Idempotent. */
  close(): Promise<void>
}
