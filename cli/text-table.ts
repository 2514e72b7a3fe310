/**
 * Columns as wide as their widest cell, nothing at the ends of lines. `numbers`: the first column to the left, the others to
 * the right; `texts`: all to the left.
 */
export function textTable(rows: readonly (readonly string[])[], of: 'numbers' | 'texts' = 'numbers'): string {
  const widths: number[] = []
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length)
  const aligned = (cell: string, i: number): string =>
    i === 0 || of === 'texts' ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)
  return rows.map((row) => `${row.map(aligned).join('  ').trimEnd()}\n`).join('')
}
