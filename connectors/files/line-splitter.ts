const LF = 10
const CR = 13
const SPACE = 32

/** The longest line that is delivered whole, in bytes without its end; what an event may have. */
export const LINE_BYTES_MAX = 1_048_576

/** Cuts chunks of bytes into lines; holds at most one line of LINE_BYTES_MAX + 1 bytes back. */
export class LineSplitter {
  /** The beginning of a line whose end has not come yet. */
  private parts: Buffer[] = []
  private held = 0

  /** The lines that end in `chunk`. They may share memory with it. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
      this.finish(chunk.subarray(start, end), lines)
      start = end + 1
    }
    if (start < chunk.length) this.hold(chunk.subarray(start))
    return lines
  }

  /** The last line, where the input does not end with a line end. */
  end(): Buffer[] {
    const lines: Buffer[] = []
    if (this.held > 0) this.finish(Buffer.alloc(0), lines)
    return lines
  }

  private hold(part: Buffer): void {
    // One byte beyond the bound tells that the line is too long, and one more may be the CR of its end.
    const kept = part.subarray(0, LINE_BYTES_MAX + 2 - this.held)
    // A copy, lest a few bytes keep a whole chunk in memory for as long as the line takes to end.
    if (kept.length > 0) this.parts.push(Buffer.from(kept))
    this.held += kept.length
  }

  private finish(last: Buffer, lines: Buffer[]): void {
    let line = last
    if (this.held > 0) {
      this.hold(last)
      line = Buffer.concat(this.parts, this.held)
      this.parts = []
      this.held = 0
    }
    if (line.at(-1) === CR) line = line.subarray(0, -1)
    if (line.length > LINE_BYTES_MAX) lines.push(line.subarray(0, LINE_BYTES_MAX + 1))
    else if (!isBlank(line)) lines.push(line)
  }
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) if (byte !== SPACE && byte !== CR && byte !== 9) return false
  return true
}
