import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { coloured, unifiedDiff } from '../../cli/rules-control/unified-diff.ts'

const diff = (from: readonly string[], to: readonly string[]): string =>
  unifiedDiff(
    { name: 'old', text: from.map((line) => `${line}\n`).join('') },
    { name: 'new', text: `${to.join('\n')}\n` },
  )

const LINES = Array.from({ length: 20 }, (_, i) => `line ${i}`)

describe('a diff', () => {
  it('shows what changed with three lines around it, as diff -u does', () => {
    const to = LINES.map((line) => (line === 'line 5' ? 'other' : line)).filter((line) => line !== 'line 15')
    expect(diff(LINES, to)).toBe(`--- old
+++ new
@@ -3,7 +3,7 @@
 line 2
 line 3
 line 4
-line 5
+other
 line 6
 line 7
 line 8
@@ -13,7 +13,6 @@
 line 12
 line 13
 line 14
-line 15
 line 16
 line 17
 line 18
`)
  })

  it('of the same is nothing, and of nothing shows all', () => {
    expect(diff(LINES, LINES)).toBe('')
    expect(unifiedDiff({ name: 'a', text: '' }, { name: 'b', text: 'x\ny\n' })).toBe(
      '--- a\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n',
    )
  })

  it('gives the new text where it is applied to the old one, whatever they are', () => {
    const lines = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 })
    fc.assert(
      fc.property(lines, lines, (from, to) => {
        expect(applied(from, diff(from, to.length === 0 ? ['e'] : to))).toEqual(to.length === 0 ? ['e'] : to)
      }),
      { numRuns: 300 },
    )
  })

  it('of large files that are wholly different is shown all the same', () => {
    const many = (letter: string): string[] => Array.from({ length: 5_000 }, (_, i) => `${letter}${i}`)
    expect(diff(many('a'), many('b')).split('\n')).toHaveLength(10_004)
  })

  it('has red and green lines on a terminal', () => {
    expect(coloured('--- a\n+++ b\n@@ -1 +1 @@\n-x\n+y\n z\n')).toBe(
      '\u001B[1m--- a\u001B[0m\n\u001B[1m+++ b\u001B[0m\n\u001B[36m@@ -1 +1 @@\u001B[0m\n\u001B[31m-x\u001B[0m\n\u001B[32m+y\u001B[0m\n z\n',
    )
  })
})

/** What `patch` would make of it. */
function applied(from: readonly string[], text: string): string[] {
  if (text === '') return [...from]
  const result: string[] = []
  let at = 0
  for (const line of text.trimEnd().split('\n').slice(2)) {
    const start = /^@@ -(\d+)(?:,(\d+))? /.exec(line)
    if (start !== null) {
      const begin = Number(start[1]) - (start[2] === '0' ? 0 : 1)
      result.push(...from.slice(at, begin))
      at = begin
    } else if (line.startsWith('+')) result.push(line.slice(1))
    else {
      if (from[at] !== line.slice(1)) throw new Error(`line ${at} is ${from[at]}, not ${line.slice(1)}`)
      if (line.startsWith(' ')) result.push(line.slice(1))
      at++
    }
  }
  return [...result, ...from.slice(at)]
}
