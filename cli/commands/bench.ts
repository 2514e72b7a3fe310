import type { Command } from '../command.ts'
import { benchGateway } from './bench-gateway.ts'
import { benchKafka } from './bench-kafka.ts'
import { benchLatency } from './bench-latency.ts'
import { benchMemory } from './bench-memory.ts'
import { benchPayout } from './bench-payout.ts'
import { benchRecovery } from './bench-recovery.ts'
import { benchRules } from './bench-rules.ts'

/** The benches, in the order of the help page. A new one is added here and nowhere else. */
export const BENCHES: readonly Command[] = [
  benchRules,
  benchRecovery,
  benchKafka,
  benchLatency,
  benchMemory,
  benchPayout,
  benchGateway,
]
