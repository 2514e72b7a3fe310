/** CSV as spreadsheets write it (RFC 4180): quotes, quotes doubled inside of them, line ends inside of them, CRLF or LF. */
export interface CsvRow {
  /** The line that it begins on, from 1. */
  readonly line: number
  readonly cells: readonly string[]
}

export type CsvReading =
  | { readonly ok: true; readonly rows: readonly CsvRow[] }
  | { readonly ok: false; readonly line: number; readonly problem: string }

/** Lines of nothing are left out. The separator is the comma, or the semicolon where the first line has no comma. */
export function readCsv(input: string): CsvReading {
  const text = input.replace(/^\uFEFF/, '')
  const head = text.slice(0, text.search(/[\r\n]|$/))
  const reader = new CsvReader(text, !head.includes(',') && head.includes(';') ? ';' : ',')
  return reader.read()
}

class CsvReader {
  private readonly text: string
  private readonly separator: string
  private at = 0
  private line = 1

  constructor(text: string, separator: string) {
    this.text = text
    this.separator = separator
  }

  read(): CsvReading {
    const rows: CsvRow[] = []
    while (this.at < this.text.length) {
      const line = this.line
      const cells: string[] = []
      for (;;) {
        const cell = this.cell()
        if (cell === undefined) return { ok: false, line, problem: 'a quote is opened and never closed' }
        cells.push(cell)
        if (this.text[this.at] !== this.separator) break
        this.at++
      }
      if (!this.endOfLine()) {
        return {
          ok: false,
          line,
          problem: 'something follows on a closing quote; double a quote that belongs to the text',
        }
      }
      if (cells.length > 1 || cells[0]?.trim() !== '') rows.push({ line, cells })
    }
    return { ok: true, rows }
  }

  private cell(): string | undefined {
    if (this.text[this.at] === '"') return this.quoted()
    const from = this.at
    while (this.at < this.text.length && !`${this.separator}\r\n`.includes(this.text[this.at] ?? '')) this.at++
    return this.text.slice(from, this.at).trim()
  }

  private quoted(): string | undefined {
    let content = ''
    for (let from = this.at + 1; ; ) {
      const end = this.text.indexOf('"', from)
      if (end === -1) return undefined
      content += this.text.slice(from, end)
      if (this.text[end + 1] !== '"') {
        this.at = end + 1
        this.line += content.split('\n').length - 1
        return content
      }
      content += '"'
      from = end + 2
    }
  }

  private endOfLine(): boolean {
    if (this.at >= this.text.length) return true
    const end = /^\r?\n|^\r/.exec(this.text.slice(this.at, this.at + 2))?.[0]
    if (end === undefined) return false
    this.at += end.length
    this.line++
    return true
  }
}
