import type { JsonObject } from '../model/event.ts'

/** What a role answers when an orchestrator asks how it is. */
export interface HealthReport {
  /** False only where starting the process again would help. */
  readonly alive: boolean
  /** True where it does its work: joined its group, has recovered its partitions, reaches what it needs. */
  readonly ready: boolean
  /** Sentences: why it is not ready or not alive; empty where it is both. */
  readonly reasons: readonly string[]
  /** Whatever helps a person to see more: partitions, positions, state. */
  readonly details?: JsonObject
}

/** Answers at once, from memory: a probe must not hang because a broker does. */
export type Health = () => HealthReport
