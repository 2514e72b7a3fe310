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

/** The head of a chain at one time. */
export interface AuditHead {
  readonly stream: string
  /** The last record. */
  readonly seq: number
  /** Hash of its line; where `closed`, of the footer after it. */
  readonly head: string
  readonly closed: boolean
}

/** A second place that heads are written to, out of reach for whoever can change the segments. */
export interface AnchorPlace {
  /** For people: a path, or a topic. */
  readonly name: string
  /** True: each anchor of a stream is chained to the one before; false: chains begin anew with each writer. */
  readonly unbroken: boolean
  /** Throws where the place holds something that no writer has left there (ONCEWARD_E_AUDIT_BROKEN), or cannot be reached. */
  open(stream: string): Promise<AnchorChain>
}

/** The anchors of one stream at one place. */
export interface AnchorChain {
  /** The newest that the place is known to hold, and how many there are; undefined: none is known. */
  newest(): (AuditHead & { readonly number: number; readonly hash: string }) | undefined
  /** Resolves once the place has it. Where it rejects it may be written again, now or later. One call at a time. */
  write(head: AuditHead, at: number): Promise<void>
  close(): Promise<void>
}

/** Anchors as they stand at a place, for verification. */
export interface AnchorReader {
  readonly name: string
  /** Every stream that the place has anchors of. */
  streams(): Promise<readonly string[]>
  /** The lines of one stream's anchors in order, as bytes; `place` says where each stands: `line 12`, `offset 12`. */
  lines(stream: string): AsyncIterable<readonly { readonly bytes: Buffer; readonly place: string }[]>
  /** As AnchorPlace. */
  readonly unbroken: boolean
}
