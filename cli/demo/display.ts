import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/ports/logger.ts'
import type { Terminal } from '../command.ts'
import { openScreen, type Screen } from './screen.ts'
import type { Snapshot } from './snapshot.ts'
import { plainLine, renderView, type ViewFrame } from './view.ts'

export interface DisplayOptions {
  readonly terminal: Terminal
  readonly clock: Clock
  /** Lines that fit the terminal. */
  readonly rows: () => number
  readonly color: boolean
  readonly unicode: boolean
  /** False where the terminal cannot be drawn on. */
  readonly live: boolean
}

/** Everything that a person watches the demo by: a live view in a terminal, lines elsewhere. */
export interface Display {
  /** A step of starting or stopping. */
  readonly say: (line: string) => void
  /** Shows the demo again and again until `close`. A look that fails ends the watching and is told by `close`. */
  watch(look: () => Promise<Snapshot>, frame: () => Omit<ViewFrame, 'logged'>): void
  /** Keeps what is logged off the view; it is written once the view is gone. */
  logger(inner: Logger): Logger
  close(): Promise<void>
}

const DRAW_EVERY_MS = 200
const LINE_EVERY_MS = 2_000
const LOGGED_SHOWN_MAX = 2
/** Of a log at a low level, the newest lines are what helps. */
const KEPT_MAX = 2_000

interface Kept {
  readonly message: string
  /** A warning or an error. */
  readonly grave: boolean
  readonly write: () => void
}

export function createDisplay(options: DisplayOptions): Display {
  const { terminal, clock, live } = options
  const closing = new AbortController()
  const kept: Kept[] = []
  let screen: Screen | undefined
  let watching: Promise<void> | undefined

  const show = (snapshot: Snapshot, frame: Omit<ViewFrame, 'logged'>): void => {
    const logged = kept
      .filter(({ grave }) => grave)
      .slice(-LOGGED_SHOWN_MAX)
      .map(({ message }) => message)
    if (screen === undefined) return terminal.note(plainLine(snapshot, { ...frame, logged }))
    const size = {
      columns: terminal.progress.columns,
      rows: options.rows(),
      color: options.color,
      unicode: options.unicode,
    }
    screen.draw(renderView(snapshot, { ...frame, logged }, size))
  }
  const keep = (entry: Kept): void => {
    if (screen === undefined) return entry.write()
    kept.push(entry)
    if (kept.length > KEPT_MAX) kept.shift()
  }

  return {
    say: (line) => {
      if (screen === undefined) terminal.note(line)
    },
    watch(look, frame) {
      if (live) screen = openScreen(terminal.progress)
      watching = (async () => {
        while (!closing.signal.aborted) {
          show(await look(), frame())
          await clock.sleep(live ? DRAW_EVERY_MS : LINE_EVERY_MS, closing.signal)
        }
      })()
      watching.catch(() => undefined)
    },
    logger: (inner) => keepingLogger(inner, keep),
    async close() {
      closing.abort()
      try {
        await watching
      } finally {
        screen?.close()
        screen = undefined
        for (const { write } of kept.splice(0)) write()
      }
    },
  }
}

function keepingLogger(inner: Logger, keep: (entry: Kept) => void): Logger {
  return {
    debug: (fields, message) => keep({ message, grave: false, write: () => inner.debug(fields, message) }),
    info: (fields, message) => keep({ message, grave: false, write: () => inner.info(fields, message) }),
    warn: (fields, message) => keep({ message, grave: true, write: () => inner.warn(fields, message) }),
    error: (fields, message) => keep({ message, grave: true, write: () => inner.error(fields, message) }),
    child: (fields) => keepingLogger(inner.child(fields), keep),
  }
}
