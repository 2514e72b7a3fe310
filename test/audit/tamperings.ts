/** What somebody may do to an audit log, and what of it verification must name. */
import { chmodSync } from 'node:fs'
import { copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { readLine, writeAnchor, writeFooter, writeHeader, writeRecord } from '../../core/audit/lines.ts'
import { assert } from '../../core/assert.ts'
import type { Random } from '../../core/random.ts'
import { type MadeLog, numbersOf, readLines, writeLines } from './made-logs.ts'

/** What at least one finding must name. */
export interface Traces {
  /** Files, or places of anchors. */
  readonly where: readonly string[]
  /** Records; undefined: it is not about one. */
  readonly records?: readonly [first: number, last: number]
}

interface Scene {
  readonly made: MadeLog
  readonly stream: string
  readonly segments: readonly string[]
  readonly random: Random
}

type Tamper = (scene: Scene) => Promise<Traces | undefined>

const pick = <T>(random: Random, from: readonly T[]): T => {
  const one = from[Math.floor(random() * from.length)]
  assert(one !== undefined, 'there is something to pick from')
  return one
}

/** One segment's lines, changed by `change`; what that answers must be named in it. undefined: it could not be done. */
async function inSegment(
  { made, stream, segments, random }: Scene,
  change: (lines: string[], numbers: readonly (number | undefined)[]) => readonly [number, number] | undefined,
): Promise<Traces | undefined> {
  const where = pick(random, segments)
  const path = made.path(stream, where)
  const lines = await readLines(path)
  const records = change(lines, numbersOf(lines))
  if (records === undefined) return undefined
  await writeLines(path, lines)
  return { where: [where], records }
}

/** Index of a line that holds a record. */
function recordIndex(random: Random, numbers: readonly (number | undefined)[]): number {
  return pick(
    random,
    numbers.flatMap((number, index) => (number === undefined ? [] : index)),
  )
}

const at = <T>(list: readonly T[], index: number): T => {
  const one = list[index]
  assert(one !== undefined, `there is a ${index}`)
  return one
}

const flipByte: Tamper = async ({ made, stream, segments, random }) => {
  const where = pick(random, segments)
  const path = made.path(stream, where)
  const bytes = await readFile(path)
  const position = Math.floor(random() * bytes.length)
  const before = bytes.subarray(0, position).toString('latin1').split('\n').length - 1
  const numbers = numbersOf(bytes.toString('utf8').split('\n').slice(0, -1))
  bytes[position] = ((bytes[position] ?? 0) + 1 + Math.floor(random() * 255)) % 256
  chmodSync(path, 0o640)
  await writeFile(path, bytes)
  const first = numbers.find((number) => number !== undefined) ?? 0
  const last = numbers.findLast((number) => number !== undefined) ?? 0
  const hit = numbers[before] ?? (before === 0 ? first : last)
  // A line end that is gone makes one line of two.
  return { where: [where], records: [hit, hit + 1] }
}

const removeRecords: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const index = recordIndex(scene.random, numbers)
    const count = 1 + Math.floor(scene.random() * 3)
    const removed = numbers.slice(index, index + count).filter((number) => number !== undefined)
    lines.splice(index, removed.length)
    return [at(removed, 0), at(removed, removed.length - 1)]
  })

const duplicateRecord: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const index = recordIndex(scene.random, numbers)
    const to = 1 + Math.floor(scene.random() * lines.length)
    lines.splice(to, 0, at(lines, index))
    const number = at(numbers, index) ?? 0
    return [number, number]
  })

const insertForged: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const index = recordIndex(scene.random, numbers)
    const seq = (at(numbers, index) ?? 0) + 1
    const before = readLine(Buffer.from(at(lines, index)))
    assert(before.type === 'record', 'a record')
    lines.splice(
      index + 1,
      0,
      writeRecord({ seq, at: before.at, kind: 'request', body: '{"forged":true}' }, before.hash).line,
    )
    return [seq, seq]
  })

const insertGarbage: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const index = recordIndex(scene.random, numbers)
    lines.splice(index, 0, pick(scene.random, ['', '{}', 'x'.repeat(500), at(lines, index).slice(0, -1)]))
    const number = at(numbers, index) ?? 0
    return [number, number]
  })

const swapRecords: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const one = recordIndex(scene.random, numbers)
    const other = recordIndex(scene.random, numbers)
    if (one === other) return undefined
    const text = at(lines, one)
    lines[one] = at(lines, other)
    lines[other] = text
    const [a, b] = [at(numbers, one) ?? 0, at(numbers, other) ?? 0]
    return [Math.min(a, b), Math.max(a, b)]
  })

const moveRecord: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const from = recordIndex(scene.random, numbers)
    const to = recordIndex(scene.random, numbers)
    if (from === to) return undefined
    lines.splice(to, 0, ...lines.splice(from, 1))
    const [a, b] = [at(numbers, from) ?? 0, at(numbers, to) ?? 0]
    // Moved by one it is the same as its neighbour moved by one the other way.
    return Math.abs(a - b) === 1 ? [Math.min(a, b), Math.max(a, b)] : [a, a]
  })

/** With a hash of its own that fits, but not the chain. */
const rewriteRecord: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    const index = recordIndex(scene.random, numbers)
    const was = readLine(Buffer.from(at(lines, index)))
    assert(was.type === 'record', 'a record')
    lines[index] = writeRecord({ ...was, body: '{"nothing":"happened"}' }, was.prev).line
    return [was.seq, was.seq + 1]
  })

const editHeader: Tamper = (scene) =>
  inSegment(scene, (lines) => {
    const header = readLine(Buffer.from(at(lines, 0)))
    if (header.type !== 'header') return undefined
    lines[0] = writeHeader({ ...header, at: header.at + 1 }, header.prev).line
    return [header.first, header.first]
  })

const removeHeader: Tamper = (scene) =>
  inSegment(scene, (lines, numbers) => {
    lines.splice(0, 1)
    return [at(numbers, 1) ?? 0, at(numbers, 1) ?? 0]
  })

const editFooter: Tamper = (scene) =>
  inSegment(scene, (lines) => {
    const footer = readLine(Buffer.from(at(lines, lines.length - 1)))
    if (footer.type !== 'footer') return undefined
    const counted = scene.random() < 0.5 ? { count: footer.count + 1 } : { at: footer.at + 1 }
    lines[lines.length - 1] = writeFooter({ ...footer, ...counted }, footer.prev).line
    return [footer.last, footer.last + 1]
  })

const removeFooter: Tamper = (scene) =>
  inSegment(scene, (lines) => {
    const footer = readLine(Buffer.from(at(lines, lines.length - 1)))
    if (footer.type !== 'footer') return undefined
    lines.pop()
    return [footer.last, footer.last]
  })

const removeSegment: Tamper = async ({ made, stream, segments, random }) => {
  const where = pick(random, segments)
  const numbers = numbersOf(await readLines(made.path(stream, where))).filter((number) => number !== undefined)
  await rm(made.path(stream, where))
  return { where: [], records: [at(numbers, 0), at(numbers, numbers.length - 1)] }
}

const swapSegments: Tamper = async ({ made, stream, segments, random }) => {
  const one = pick(random, segments)
  const other = pick(random, segments)
  if (one === other) return undefined
  await rename(made.path(stream, one), made.path(stream, 'aside'))
  await rename(made.path(stream, other), made.path(stream, one))
  await rename(made.path(stream, 'aside'), made.path(stream, other))
  return { where: [one, other] }
}

const segmentOfOther: Tamper = async ({ made, stream, segments, random }) => {
  const where = pick(random, segments)
  const foreign = at(await made.segments('other'), 0)
  chmodSync(made.path(stream, where), 0o640)
  await copyFile(made.path('other', foreign), made.path(stream, where))
  return { where: [where] }
}

const cutEnd: Tamper = async ({ made, stream, segments, random }) => {
  const where = pick(random, segments)
  const path = made.path(stream, where)
  const lines = await readLines(path)
  const bytes = (await readFile(path)).length
  const keep = Math.floor(random() * bytes)
  await truncate(path, keep)
  const left = (await readFile(path, 'latin1')).split('\n').length - 1
  const numbers = numbersOf(lines)
  const firstGone = numbers.slice(left).find((number) => number !== undefined)
  const last = numbers.findLast((number) => number !== undefined) ?? 0
  return { where: [], records: [firstGone ?? last, last] }
}

/** All hashes from a record on made anew, over all segments: only anchors can tell. */
const rewriteOn: Tamper = async ({ made, stream, segments, random }) => {
  const begin = Math.floor(random() * segments.length)
  let prev: string | undefined
  let changed = 0
  for (const name of segments.slice(begin)) {
    const path = made.path(stream, name)
    const lines = await readLines(path)
    const target = changed === 0 ? recordIndex(random, numbersOf(lines)) : -1
    const rewritten = lines.map((text, index) => {
      const line = readLine(Buffer.from(text))
      assert(line.type === 'record' || line.type === 'header' || line.type === 'footer', 'a line of a segment')
      if (index === target && line.type === 'record') changed = line.seq
      if (changed === 0) return text
      const link = prev ?? line.prev
      const body = index === target ? '{"it":"was otherwise"}' : line.type === 'record' ? line.body : ''
      const written =
        line.type === 'record'
          ? writeRecord({ ...line, body }, link)
          : line.type === 'header'
            ? writeHeader(line, link)
            : writeFooter(line, link)
      prev = written.hash
      return written.line
    })
    await writeLines(path, rewritten)
  }
  return { where: ['far away'], records: [changed, Number.MAX_SAFE_INTEGER] }
}

const editAnchor: Tamper = async ({ made, stream, random }) => {
  const path = made.anchorFile(stream)
  const lines = await readLines(path)
  const index = Math.floor(random() * lines.length)
  const anchor = readLine(Buffer.from(at(lines, index)))
  assert(anchor.type === 'anchor', 'an anchor')
  lines[index] = writeAnchor({ ...anchor, head: 'f'.repeat(64) }, anchor.prev).line
  await writeLines(path, lines)
  return { where: [made.anchors] }
}

const flipAnchorByte: Tamper = async ({ made, stream, random }) => {
  const bytes = await readFile(made.anchorFile(stream))
  // But for the last line end: without it the last line counts as one that is being written.
  const position = Math.floor(random() * (bytes.length - 1))
  bytes[position] = ((bytes[position] ?? 0) + 1 + Math.floor(random() * 255)) % 256
  await writeFile(made.anchorFile(stream), bytes)
  return { where: [made.anchors] }
}

/** But for the newest ones: that those were ever written, only what was written after them can say. */
const removeAnchors: Tamper = async ({ made, stream, random }) => {
  const path = made.anchorFile(stream)
  const lines = await readLines(path)
  if (lines.length < 2) return undefined
  const index = Math.floor(random() * (lines.length - 1))
  lines.splice(index, 1)
  await writeLines(path, lines)
  return { where: [made.anchors] }
}

export const TAMPER: Readonly<Record<string, Tamper>> = {
  flipByte,
  removeRecords,
  duplicateRecord,
  insertForged,
  insertGarbage,
  swapRecords,
  moveRecord,
  rewriteRecord,
  editHeader,
  removeHeader,
  editFooter,
  removeFooter,
  removeSegment,
  swapSegments,
  segmentOfOther,
  cutEnd,
  rewriteOn,
  editAnchor,
  flipAnchorByte,
  removeAnchors,
}
