import { createCap } from '../operators/cap.ts'
import { createDedupe } from '../operators/dedupe.ts'
import type { Arrival, Operator, Scoring } from '../operators/operator.ts'
import { createProtection } from '../operators/protection.ts'
import { createReorder } from '../operators/reorder.ts'
import { createRewardEmit } from '../operators/reward-emit.ts'
import { createScore } from '../operators/score.ts'
import { createThreshold } from '../operators/threshold.ts'
import { createWindows } from '../operators/windows.ts'
import { type Line, line } from './line.ts'
import { createRecordReader, type RecordReader, type ReaderOptions } from './record-reader.ts'

/**
 * The whole way of an event through a worker:
 *
 *   events.raw ─▶ normalize ─▶ protection ─▶ dedupe ─▶ reorder ─▶ windows ─▶ score ─▶ cap ─▶ threshold ─▶ reward-emit ─▶ scores
 *                     │            │                      │                                                    │
 *                     └──▶ dlq ◀───┼──────────────────────┘                                                    │
 *                                  └─────────────────────────────▶ gates ◀─────────────────────────────────────┘
 *                                                                    └─▶ reward.tasks
 *
 * normalize needs no state and runs when a batch is read; the others run once the state they asked for is at hand
 * (pipeline/batch.ts), and the gates once the line is through (pipeline/gate-phase.ts). Each is one file in operators/.
 */
export interface Topology {
  /** normalize: a record of the log becomes an event, a tick or a rejection. */
  readonly read: RecordReader
  /** From the event to its scores and rewards. */
  readonly line: Line<Arrival, never>
  /** False: whatever is earned goes out, whoever the player is. */
  readonly gated: boolean
}

export interface TopologyOptions extends ReaderOptions {
  /** What becomes of a scored event. Default: reward-emit; a backtest counts, and needs no score records. */
  readonly emit?: Operator<Scoring, never>
  /** Whether the gates by player are asked. Default: true; backtests and tests of rules ask what rules give. */
  readonly gated?: boolean
}

export function createTopology(options: TopologyOptions): Topology {
  return {
    read: createRecordReader(options),
    gated: options.gated ?? true,
    line: line(createProtection())
      .to(createDedupe())
      .to(createReorder())
      .to(createWindows())
      .to(createScore())
      .to(createCap())
      .to(createThreshold())
      .to(options.emit ?? createRewardEmit()),
  }
}
