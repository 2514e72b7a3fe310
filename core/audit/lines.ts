/**
 * The lines of an audit log, byte for byte. Every line is one JSON object and one link of a chain:
 *
 *     {…,"prev":"<64 hex digits>","hash":"<64 hex digits>"}⏎
 *
 * `prev` is the hash of the line before, `hash` the SHA-256 of the line's own bytes up to `,"hash"`. A segment is a header,
 * records and, once it is closed, a footer; the header's `prev` is the footer's hash of the segment before. So one chain
 * goes through every byte of a stream, and any line can be checked with sed and sha256sum.
 *
 * What is canonical: the members in the order below, no white space, numbers as JSON.stringify writes them, UTF-8; the body
 * is what JSON.stringify makes of it. Anything else is not a line of ours, even where its hash fits.
 */
import { hash as digest } from 'node:crypto'

/** What the first line of a stream, or of an anchor file, is chained to. */
export const GENESIS = '0'.repeat(64)
export const FORMAT = 1
/** The longest line in bytes. A body of 8 MiB with every byte escaped in JSON still fits. */
export const LINE_BYTES_MAX = 64 * 1_048_576
export const STREAM_NAME = /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/
export const KIND = /^[a-z][a-z0-9_.]{0,63}$/

export interface Link {
  /** Hash of the line before. */
  readonly prev: string
  readonly hash: string
}

export interface HeaderFacts {
  readonly stream: string
  /** Number of the segment's first record; records of a stream are numbered from 1. */
  readonly first: number
  /** Unix milliseconds, as every `at` here. */
  readonly at: number
  /** How many anchors the stream's anchor file held when the segment began, and the hash of the last (GENESIS: none). */
  readonly anchored: number
  readonly anchor: string
}

export interface RecordFacts {
  readonly seq: number
  readonly at: number
  readonly kind: string
  /** JSON text of the body. */
  readonly body: string
}

export interface FooterFacts {
  /** Number of the segment's last record. */
  readonly last: number
  readonly count: number
  readonly at: number
}

export interface AnchorFacts {
  /** Anchors of one place are numbered from 1. */
  readonly number: number
  readonly stream: string
  /** The head at that time: the last record, and the hash of its line, or of the footer after it where `closed`. */
  readonly seq: number
  readonly head: string
  readonly closed: boolean
  readonly at: number
}

export type HeaderLine = { readonly type: 'header' } & HeaderFacts & Link
export type RecordLine = { readonly type: 'record' } & RecordFacts & Link
export type FooterLine = { readonly type: 'footer' } & FooterFacts & Link
export type AnchorLine = { readonly type: 'anchor' } & AnchorFacts & Link
/** `links`: the hashes that the line may have had while it was whole; empty where nothing can be told. */
export type BrokenLine = { readonly type: 'broken'; readonly links: readonly string[] }
export type Line = HeaderLine | RecordLine | FooterLine | AnchorLine | BrokenLine

/** A line as it is written, without its line end. */
export interface Written {
  readonly line: string
  readonly hash: string
}

export function writeHeader(facts: HeaderFacts, prev: string): Written {
  const { stream, first, at, anchored, anchor } = facts
  const head = `{"audit":${FORMAT},"stream":"${stream}","first":${first},"at":${at}`
  return seal(`${head},"anchored":${anchored},"anchor":"${anchor}"`, prev)
}

export function writeRecord({ seq, at, kind, body }: RecordFacts, prev: string): Written {
  return seal(`{"seq":${seq},"at":${at},"kind":"${kind}","body":${body}`, prev)
}

export function writeFooter({ last, count, at }: FooterFacts, prev: string): Written {
  return seal(`{"end":${last},"count":${count},"at":${at}`, prev)
}

export function writeAnchor({ number, stream, seq, head, closed, at }: AnchorFacts, prev: string): Written {
  const text = `{"anchor":${number},"stream":"${stream}","seq":${seq},"head":"${head}","closed":${closed}`
  return seal(`${text},"at":${at}`, prev)
}

function seal(members: string, prev: string): Written {
  const sealed = `${members},"prev":"${prev}"`
  const hash = digest('sha256', sealed, 'hex')
  return { line: `${sealed},"hash":"${hash}"}`, hash }
}

/** Bytes of `,"prev":"…"`, and of `,"hash":"…"`. */
const MEMBER_BYTES = 74
const TAIL = /^,"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"\}$/
const NUMBER = '(0|[1-9]\\d{0,15})'
const TIME = '(0|-?[1-9]\\d{0,15})'
const HEX = '([0-9a-f]{64})'
const NAME = '([a-zA-Z0-9][a-zA-Z0-9._-]{0,99})'
/** The longest text before a record's body. */
const HEAD_BYTES_MAX = 160
const RECORD = new RegExp(`^\\{"seq":${NUMBER},"at":${TIME},"kind":"([a-z][a-z0-9_.]{0,63})","body":`)
const HEADER = new RegExp(
  `^\\{"audit":${FORMAT},"stream":"${NAME}","first":${NUMBER},"at":${TIME},"anchored":${NUMBER},"anchor":"${HEX}"$`,
)
const FOOTER = new RegExp(`^\\{"end":${NUMBER},"count":${NUMBER},"at":${TIME}$`)
const ANCHOR = new RegExp(
  `^\\{"anchor":${NUMBER},"stream":"${NAME}","seq":${NUMBER},"head":"${HEX}","closed":(true|false),"at":${TIME}$`,
)

/** Reads a line without its line end. `broken` where it is none of ours, or its bytes do not give its hash. */
export function readLine(bytes: Buffer): Line {
  const cut = bytes.length - 2 * MEMBER_BYTES - 1
  const tail = cut < 0 ? null : TAIL.exec(bytes.toString('latin1', cut))
  if (tail === null) return { type: 'broken', links: [] }
  const [, prev = '', stored = ''] = tail
  // Of the bytes, and not of a text made of them: several byte sequences that are no UTF-8 make the same text.
  const hash = digest('sha256', bytes.subarray(0, cut + MEMBER_BYTES), 'hex')
  const line = hash === stored ? lineOf(bytes.subarray(0, cut), { prev, hash }) : undefined
  return line ?? { type: 'broken', links: [stored, hash] }
}

function lineOf(members: Buffer, link: Link): Line | undefined {
  const head = members.toString('latin1', 0, HEAD_BYTES_MAX)
  const record = RECORD.exec(head)
  if (record !== null) {
    const body = members.toString('utf8', record[0].length)
    const [, seq, at, kind = ''] = record
    return isCanonicalBody(body) ? { type: 'record', seq: Number(seq), at: Number(at), kind, body, ...link } : undefined
  }
  const text = members.toString('latin1')
  const header = HEADER.exec(text)
  if (header !== null) {
    const [, stream = '', first, at, anchored, anchor = ''] = header
    return { type: 'header', stream, first: Number(first), at: Number(at), anchored: Number(anchored), anchor, ...link }
  }
  const footer = FOOTER.exec(text)
  if (footer !== null) {
    return { type: 'footer', last: Number(footer[1]), count: Number(footer[2]), at: Number(footer[3]), ...link }
  }
  const anchor = ANCHOR.exec(text)
  if (anchor === null) return undefined
  const [, number, stream = '', seq, hash = '', closed, at] = anchor
  return {
    type: 'anchor',
    number: Number(number),
    stream,
    seq: Number(seq),
    head: hash,
    closed: closed === 'true',
    at: Number(at),
    ...link,
  }
}

/** Two readers of one text must not see two things in it: no member twice, no form of JSON but one. */
function isCanonicalBody(text: string): boolean {
  if (!text.startsWith('{')) return false
  try {
    return JSON.stringify(JSON.parse(text)) === text
  } catch {
    return false
  }
}

/** `0000000000000042.audit`: the segment whose first record is 42. */
export function segmentName(first: number): string {
  return `${String(first).padStart(16, '0')}.audit`
}

/** The number of the first record that a name of `segmentName` says; undefined: it is no such name. */
export function firstOfName(name: string): number | undefined {
  const match = /^(\d{16})\.audit$/.exec(name)
  return match === null ? undefined : Number(match[1])
}
