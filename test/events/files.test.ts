import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LINE_BYTES_MAX, LineSplitter } from '../../connectors/files/line-splitter.ts'
import { readLines, type ReadLinesOptions } from '../../connectors/files/lines.ts'
import { ndjsonWriter, writeTextFile } from '../../connectors/files/ndjson-writer.ts'
import { readRuleFiles } from '../../connectors/files/rule-files.ts'
import { loadSchemas } from '../../connectors/files/schemas.ts'

let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'onceward-files-'))
})

afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

let files = 0

async function fileOf(content: string | Buffer): Promise<string> {
  const path = join(dir, `input-${files++}`)
  await writeFile(path, content)
  return path
}

async function linesOf(path: string, options?: ReadLinesOptions): Promise<string[]> {
  const lines: string[] = []
  for await (const chunk of await readLines(path, options)) lines.push(...chunk.map(String))
  return lines
}

describe('lines', () => {
  it('come out as they went in, however the bytes are cut', () => {
    const line = fc.string({ unit: 'grapheme' }).filter((text) => !/[\n\r]/.test(text) && text.trim() !== '')
    const ends = fc.constantFrom('\n', '\r\n', '\n\n', '\n \t\n')
    const input = fc.tuple(fc.array(fc.tuple(line, ends)), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }))
    fc.assert(
      fc.property(input, fc.boolean(), ([lines, cuts], ended) => {
        const text = lines.map(([text, end]) => text + end).join('')
        const bytes = Buffer.from(ended ? text : text.replace(/\s+$/, ''))
        const splitter = new LineSplitter()
        const out: Buffer[] = []
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const cut = cuts[i % cuts.length] ?? 1
          out.push(...splitter.push(bytes.subarray(at, at + cut)))
          at += cut
        }
        out.push(...splitter.end())
        // Without its end, the last line may itself end in white space that was cut off above.
        const expected = lines.map(([text], i) => (ended || i < lines.length - 1 ? text : text.replace(/\s+$/, '')))
        expect(out.map(String)).toEqual(expected)
      }),
    )
  })

  it('are the same plain, packed, packed in parts, and from the standard input', async () => {
    const lines = Array.from({ length: 5_000 }, (_, i) => `{"event_id":"${i}","text":"${'ä'.repeat(i % 300)}"}`)
    const text = `${lines.join('\n')}\n`
    const half = text.indexOf('\n', text.length / 2) + 1
    const parts = Buffer.concat([gzipSync(text.slice(0, half)), gzipSync(text.slice(half))])
    expect(await linesOf(await fileOf(text))).toEqual(lines)
    expect(await linesOf(await fileOf(gzipSync(text)))).toEqual(lines)
    expect(await linesOf(await fileOf(parts))).toEqual(lines)
    expect(await linesOf('-', { stdin: Readable.from([Buffer.from(text)]) })).toEqual(lines)
    const bytes = gzipSync(text)
    expect(await linesOf('-', { stdin: Readable.from([bytes.subarray(0, 1), bytes.subarray(1)]) })).toEqual(lines)
  })

  it('leave out a byte order mark and an empty file', async () => {
    expect(await linesOf(await fileOf('\uFEFF{}\n'))).toEqual(['{}'])
    expect(await linesOf(await fileOf(gzipSync('\uFEFF{}\n')))).toEqual(['{}'])
    expect(await linesOf(await fileOf(''))).toEqual([])
    expect(await linesOf(await fileOf('x'))).toEqual(['x'])
  })

  it('longer than the bound come cut to one byte more, and the others whole', async () => {
    const sizes = [LINE_BYTES_MAX - 1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, 5 * LINE_BYTES_MAX, 3]
    for (const end of ['\n', '\r\n']) {
      const path = await fileOf(sizes.map((size) => 'x'.repeat(size) + end).join(''))
      const lengths = (await linesOf(path)).map((line) => line.length)
      expect(lengths).toEqual(sizes.map((size) => Math.min(size, LINE_BYTES_MAX + 1)))
    }
    const blank = await fileOf(' '.repeat(3 * LINE_BYTES_MAX))
    expect(
      (await linesOf(blank)).map((line) => line.length),
      'what lies behind the bound is not known',
    ).toEqual([LINE_BYTES_MAX + 1])
  })

  it('longer than the bound are not taken for shorter ones by a CR within, and do not fill the memory', () => {
    const splitter = new LineSplitter()
    splitter.push(Buffer.from('x'.repeat(LINE_BYTES_MAX)))
    expect(splitter.push(Buffer.from('\ryyy\n')).map(({ length }) => length)).toEqual([LINE_BYTES_MAX + 1])
    splitter.push(Buffer.from(`${'x'.repeat(LINE_BYTES_MAX)}\r`))
    expect(splitter.push(Buffer.from('yyy\n')).map(({ length }) => length)).toEqual([LINE_BYTES_MAX + 1])

    const chunk = Buffer.alloc(LINE_BYTES_MAX, 'x')
    const before = process.memoryUsage().arrayBuffers
    for (let i = 0; i < 300; i++) splitter.push(chunk)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * LINE_BYTES_MAX)
    expect(splitter.end().map(({ length }) => length)).toEqual([LINE_BYTES_MAX + 1])
  })

  it('stop where the reader aborts between two chunks', async () => {
    const stop = new AbortController()
    let chunks = 0
    for await (const _ of await readLines(await fileOf('{}\n'.repeat(1_000_000)), { signal: stop.signal })) {
      chunks += 1
      stop.abort()
    }
    expect(chunks).toBe(1)
  })

  it('tell how far the reading is', async () => {
    const packed = gzipSync('{}\n'.repeat(1_000))
    const reader = await readLines(await fileOf(packed))
    expect([reader.bytesRead, reader.bytesTotal]).toEqual([0, packed.length])
    for await (const _ of reader) expect(reader.bytesRead).toBeGreaterThan(0)
    expect(reader.bytesRead).toBe(packed.length)
    expect((await readLines('-', { stdin: Readable.from([]) })).bytesTotal).toBeUndefined()
  })

  it('end when the signal says so, also while nothing comes', async () => {
    for (const head of [Buffer.from('{}\n{}\nrest'), gzipSync('{}\n{}\nrest').subarray(0, 20)]) {
      const stdin = new PassThrough()
      const stop = new AbortController()
      stdin.write(head)
      const reading = linesOf('-', { stdin, signal: stop.signal })
      setImmediate(() => stop.abort())
      expect((await reading).join('')).not.toContain('rest')
      expect(stdin.destroyed).toBe(true)
    }
    expect(await linesOf(await fileOf('x\n'), { signal: AbortSignal.abort() })).toEqual([])
  })

  it('release the file when the reader has had enough', async () => {
    const stdin = new PassThrough()
    stdin.write(gzipSync('{}\n'.repeat(100_000)).subarray(0, -8))
    for await (const _ of await readLines('-', { stdin })) break
    expect(stdin.destroyed).toBe(true)
  })

  it('that cannot be read are an error that names the file', async () => {
    const packed = gzipSync('{"a":1}\n'.repeat(10_000))
    const damaged = Buffer.from(packed)
    damaged.fill(0xff, 20, 60)
    const short = packed.subarray(0, packed.length - 12)
    const unreadable = { code: 'ONCEWARD_E_FILE_UNREADABLE' }
    await expect(readLines(join(dir, 'none'))).rejects.toMatchObject({
      ...unreadable,
      message: expect.stringMatching(/none does not exist/),
    })
    await expect(readLines(dir)).rejects.toMatchObject({
      ...unreadable,
      message: expect.stringMatching(/is a directory; name a file/),
    })
    await expect(linesOf(await fileOf(damaged))).rejects.toMatchObject({
      ...unreadable,
      message: expect.stringMatching(/damaged/),
    })
    await expect(linesOf(await fileOf(short))).rejects.toMatchObject({
      ...unreadable,
      message: expect.stringMatching(/ends too early/),
    })
  })
})

describe('results', () => {
  it('get their name when they are whole, and not before', async () => {
    const path = join(dir, 'new', 'deep', 'scores.ndjson')
    const writer = await ndjsonWriter(path)
    const values = Array.from({ length: 20_000 }, (_, i) => ({ i, text: 'ü'.repeat(i % 40) }))
    for (let at = 0; at < values.length; at += 1_000) await writer.write(values.slice(at, at + 1_000))
    expect(existsSync(path)).toBe(false)
    await writer.close()
    expect(await linesOf(path)).toEqual(values.map((value) => JSON.stringify(value)))
    expect(await readdir(join(dir, 'new', 'deep'))).toEqual(['scores.ndjson'])
  })

  it('that are given up leave what was there', async () => {
    const path = join(dir, 'kept.json')
    await writeTextFile(path, 'before')
    const writer = await ndjsonWriter(path)
    await writer.write([{ a: 1 }])
    await writer.abort()
    await writer.abort()
    expect(await readFile(path, 'utf8')).toBe('before')
    expect(existsSync(`${path}.partial`)).toBe(false)
  })

  it('that cannot be written are an error that names the file and what to do', async () => {
    const inTheWay = await fileOf('')
    await expect(ndjsonWriter(join(inTheWay, 'x.ndjson'))).rejects.toMatchObject({
      code: 'ONCEWARD_E_FILE_UNWRITABLE',
      message: expect.stringMatching(/is a file where a folder is needed/),
    })
    await mkdir(join(dir, 'taken'))
    await expect(writeTextFile(join(dir, 'taken'), 'x')).rejects.toMatchObject({ code: 'ONCEWARD_E_FILE_UNWRITABLE' })
  })

  it.runIf(existsSync('/dev/full'))('on a full disk are an error, and never get their name', async () => {
    const path = join(dir, 'full.ndjson')
    await symlink('/dev/full', `${path}.partial`)
    const writer = await ndjsonWriter(path)
    const large = Array.from({ length: 10_000 }, () => ({ text: 'x'.repeat(100) }))
    const full = {
      code: 'ONCEWARD_E_FILE_UNWRITABLE',
      message: expect.stringMatching(/full\.ndjson cannot be written: the disk is full/),
    }
    await expect(writer.write(large)).rejects.toMatchObject(full)
    await expect(writer.close()).rejects.toMatchObject(full)
    expect(existsSync(path)).toBe(false)
    await writer.abort()
  })
})

describe('rule files', () => {
  it('are the yaml files of a folder and below, in order, without tests and hidden ones', async () => {
    const rules = join(dir, 'rules')
    const names = [
      'b.yaml',
      'a.yml',
      'a.test.yaml',
      'b.test.yml',
      'notes.md',
      'sub/c.yaml',
      '.hidden.yaml',
      '.git/d.yaml',
    ]
    await mkdir(join(rules, 'sub'), { recursive: true })
    await mkdir(join(rules, '.git'))
    for (const name of names) await writeFile(join(rules, name), `# ${name}\n`)
    await symlink('..', join(rules, 'sub', 'circle'))
    await symlink(join(rules, 'b.yaml'), join(rules, 'z.yaml'))
    const found = await readRuleFiles(rules)
    expect(found.map(({ file }) => file)).toEqual(
      ['a.yml', 'b.yaml', 'sub/c.yaml', 'z.yaml'].map((name) => join(rules, name)),
    )
    expect(found[0]?.text).toBe('# a.yml\n')
    expect(await readRuleFiles(join(rules, 'b.yaml'))).toEqual([found[1]])
  })

  it('that cannot be read are an error that names the file', async () => {
    await expect(readRuleFiles(join(dir, 'none'))).rejects.toMatchObject({ code: 'ONCEWARD_E_FILE_UNREADABLE' })
    const path = await fileOf(Buffer.from([0x72, 0xff]))
    await expect(readRuleFiles(path)).rejects.toMatchObject({ message: `${path} is not UTF-8 text; save it in UTF-8` })
  })
})

it('schemas of a folder are added, and take the place of those with the same name', async () => {
  const schemas = join(dir, 'schemas')
  await mkdir(schemas)
  await writeFile(join(schemas, 'bet.avsc'), 'mine')
  await writeFile(join(schemas, 'level_up.avsc'), 'new')
  await writeFile(join(schemas, 'README.md'), 'none')
  const own = await loadSchemas()
  const both = await loadSchemas(schemas)
  expect(both.map(({ name }) => name)).toEqual([...own.map(({ name }) => name), 'level_up.avsc'].sort())
  expect(both.find(({ name }) => name === 'bet.avsc')?.text).toBe('mine')
  await expect(loadSchemas(join(dir, 'none'))).rejects.toMatchObject({ code: 'ONCEWARD_E_FILE_UNREADABLE' })
})
