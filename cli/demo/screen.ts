/** A full-screen view in a terminal that is redrawn in place, and leaves the terminal as it was. */
export interface Screen {
  draw(lines: readonly string[]): void
  /** Back to what the terminal showed before. Idempotent. */
  close(): void
}

export interface ScreenOutput {
  write(text: string): void
}

/** xterm's control sequences (https://invisible-island.net/xterm/ctlseqs/ctlseqs.html); others ignore what they lack. */
const ESC = '\u001B['
const ENTER = `${ESC}?1049h${ESC}?25l${ESC}?7l`
const LEAVE = `${ESC}?7h${ESC}?25h${ESC}?1049l`
/** Terminals that know it show the frame at once, whole. */
const FRAME_BEGIN = `${ESC}?2026h${ESC}H`
const FRAME_END = `${ESC}J${ESC}?2026l`

/** The lines of a frame must fit the terminal. Nothing is cleared before it is drawn over, so that nothing flickers. */
export function openScreen(output: ScreenOutput): Screen {
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    process.removeListener('exit', close)
    output.write(LEAVE)
  }
  // However the process ends, the cursor comes back.
  process.on('exit', close)
  output.write(ENTER)
  return {
    draw(lines) {
      if (open) output.write(FRAME_BEGIN + lines.map((line) => `${line}${ESC}K`).join('\r\n') + FRAME_END)
    },
    close,
  }
}
