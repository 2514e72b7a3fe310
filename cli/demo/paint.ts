/** Text of a line and how it looks. Styles are applied last, so that a line can be cut by what is seen of it. */
export interface Segment {
  readonly text: string
  readonly style: Style
}

export type Style = 'plain' | 'strong' | 'dim' | 'good' | 'busy' | 'bad' | 'title'

export type Line = readonly Segment[]

/** SGR codes (ECMA-48): bold, dim, green, yellow, red; the title is bold and reversed. */
const CODES: Record<Style, string> = {
  plain: '',
  strong: '1',
  dim: '2',
  good: '32',
  busy: '33',
  bad: '31',
  title: '1;7',
}

export function seg(text: string, style: Style = 'plain'): Segment {
  return { text, style }
}

/** The line as the terminal gets it, at most `columns` wide. */
export function paint(line: Line, columns: number, color: boolean): string {
  let room = columns
  let painted = ''
  for (const { text, style } of line) {
    const seen = text.slice(0, Math.max(0, room))
    room -= seen.length
    painted += color && style !== 'plain' && seen !== '' ? `\u001B[${CODES[style]}m${seen}\u001B[0m` : seen
  }
  return painted
}

export function widthOf(line: Line): number {
  return line.reduce((sum, { text }) => sum + text.length, 0)
}

/** `left`, and `right` at the end of the line where there is room for both. */
export function spread(left: Line, right: Line, { columns, fill = 'plain' }: { columns: number; fill?: Style }): Line {
  const gap = columns - widthOf(left) - widthOf(right)
  return gap < 1 ? left : [...left, seg(' '.repeat(gap), fill), ...right]
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `width` cells, filled by `share` (0 to 1); in eighths of a cell where the terminal can show them. */
export function bar(share: number, width: number, unicode: boolean): Line {
  const bounded = Math.min(1, Math.max(0, share))
  if (!unicode) {
    const full = Math.ceil(bounded * width)
    return [seg(`[${'#'.repeat(full)}`, 'good'), seg(`${'.'.repeat(width - full)}]`, 'dim')]
  }
  const eighths = bounded === 0 ? 0 : Math.max(1, Math.floor(bounded * width * 8))
  const done = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
  return [seg(done, 'good'), seg('·'.repeat(width - done.length), 'dim')]
}
