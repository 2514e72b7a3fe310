import type { Clock } from '../core/clock.ts'
import { formatDuration } from '../core/durations.ts'
import type { Terminal } from './command.ts'

export interface ProgressOptions {
  readonly terminal: Terminal
  readonly clock: Clock
  /** What is being done: `ingesting`. */
  readonly label: string
  /** What is counted: `events`. */
  readonly unit: string
}

/** How far the work is. */
export interface Advance {
  /** Units done so far. */
  readonly done: number
  /** Of the whole, 0 to 1; undefined where the end is not known. */
  readonly share?: number | undefined
}

export interface Progress {
  /** Cheap: draws at most ten times a second, and only on a terminal. */
  update(advance: Advance): void
  /** Takes the bar away and leaves `line` in its place; without a terminal the line is all there is. */
  finish(line: string): void
}

const DRAW_MS_MIN = 100
const BAR_COLUMNS_MAX = 30

/** A bar with rate and remaining time on stderr where that is a terminal, and nothing but the last line elsewhere. */
export function createProgress(options: ProgressOptions): Progress {
  const { terminal, clock } = options
  const startedMs = clock.monotonic()
  let drawnMs = Number.NEGATIVE_INFINITY
  return {
    update(advance) {
      const nowMs = clock.monotonic()
      if (!terminal.progress.isTty || nowMs - drawnMs < DRAW_MS_MIN) return
      drawnMs = nowMs
      const line = progressLine({ ...options, ...advance, elapsedMs: nowMs - startedMs }, terminal.progress.columns)
      terminal.progress.write(`\r${line}\u001B[K`)
    },
    finish(line) {
      if (terminal.progress.isTty) terminal.progress.write('\r\u001B[K')
      terminal.note(line)
    },
  }
}

/** `ingesting  [=====>    ]  50%  12,000 events  6,000/s  2s left`, cut to `columns`. */
export function progressLine(
  state: Advance & { readonly label: string; readonly unit: string; readonly elapsedMs: number },
  columns: number,
): string {
  const { label, unit, done, share, elapsedMs } = state
  const perSecond = elapsedMs > 0 ? (done * 1000) / elapsedMs : 0
  const parts = [`${formatCount(done)} ${unit}`, `${formatCount(perSecond)}/s`]
  if (share === undefined) return [label, ...parts].join('  ').slice(0, columns - 1)
  const bounded = Math.min(1, Math.max(0, share))
  parts.unshift(`${Math.floor(bounded * 100)}%`.padStart(4))
  if (bounded > 0 && bounded < 1 && elapsedMs > 1000) {
    parts.push(`${formatDuration((elapsedMs * (1 - bounded)) / bounded)} left`)
  }
  const text = parts.join('  ')
  const width = Math.min(BAR_COLUMNS_MAX, columns - label.length - text.length - 7)
  return (width < 5 ? `${label}  ${text}` : `${label}  ${bar(bounded, width)}  ${text}`).slice(0, columns - 1)
}

function bar(share: number, width: number): string {
  const full = Math.floor(share * width)
  const head = full < width ? '>' : ''
  return `[${'='.repeat(full)}${head}${' '.repeat(width - full - head.length)}]`
}

/** 1234567.8 → `1,234,568`. */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
