import { type AnchorLine, GENESIS, readLine, writeAnchor } from '../../core/audit/lines.ts'
import type { AnchorChain, AnchorPlace, AnchorReader, AuditHead } from '../../core/ports/audit.ts'
import type { Log, OffsetBounds, Producer } from '../../core/ports/log.ts'

const READ_BYTES_MAX = 4 * 1_048_576

/**
 * Anchors on a topic with one partition, keyed by stream. Each process chains its own, and begins anew where it lost an answer:
 * what the broker has acknowledged nobody can change, only delete from the beginning of the topic.
 */
export function anchorTopic(log: Log, topic: string): AnchorPlace {
  return {
    name: `topic ${topic}`,
    unbroken: false,
    open: (stream) => Promise.resolve(new TopicChain(log, topic, stream)),
  }
}

class TopicChain implements AnchorChain {
  readonly #log: Log
  readonly #topic: string
  readonly #stream: string
  #producer: Producer | undefined
  #newest: AnchorLine | undefined

  constructor(log: Log, topic: string, stream: string) {
    this.#log = log
    this.#topic = topic
    this.#stream = stream
  }

  /** Only what this process has written: reading the topic would hold up whoever opens a stream. */
  newest(): AnchorLine | undefined {
    return this.#newest
  }

  async write(head: AuditHead, at: number): Promise<void> {
    const number = (this.#newest?.number ?? 0) + 1
    const { line } = writeAnchor({ number, ...head, at }, this.#newest?.hash ?? GENESIS)
    this.#producer ??= await this.#log.producer()
    try {
      await this.#producer.send([{ topic: this.#topic, partition: 0, key: this.#stream, value: line, timestamp: at }])
    } catch (error) {
      // Its next try needs a producer that nothing is wrong with. Whether this one is on the topic nobody knows, so the next can be
      // chained to neither, and begins a chain of its own.
      this.#newest = undefined
      await this.close()
      throw error
    }
    const written = readLine(Buffer.from(line))
    if (written.type === 'anchor') this.#newest = written
  }

  async close(): Promise<void> {
    const producer = this.#producer
    this.#producer = undefined
    await producer?.close().catch(() => undefined)
  }
}

/** Reads the topic once for each stream that is asked for, so that memory does not grow with it. */
export function anchorTopicReader(log: Log, topic: string): AnchorReader {
  return {
    name: `topic ${topic}`,
    unbroken: false,
    async snapshot() {
      const partition = { topic, partition: 0 }
      const known = (await log.topic(topic)) !== undefined
      const [bounds] = known ? await log.bounds([partition]) : []
      const names = new Set<string>()
      for await (const batch of records(log, topic, bounds)) for (const { key } of batch) names.add(key)
      return {
        streams: [...names].sort(),
        async *lines(stream) {
          for await (const batch of records(log, topic, bounds)) {
            const own = batch.filter(({ key }) => key === stream)
            yield own.map(({ bytes, offset }) => ({ bytes, place: `offset ${offset}` }))
          }
        },
      }
    },
  }
}

interface AnchorRecord {
  readonly key: string
  readonly bytes: Buffer
  readonly offset: number
}

async function* records(log: Log, topic: string, bounds?: OffsetBounds): AsyncGenerator<readonly AnchorRecord[]> {
  if (bounds === undefined) return
  const reader = await log.reader({ topic, partition: 0 })
  try {
    for (let position = bounds.earliest; position < bounds.end; ) {
      const batch = await reader.read(position, { bytesMax: READ_BYTES_MAX })
      const within = batch.records.filter(({ offset }) => offset < bounds.end)
      yield within.map(({ key, value, offset }) => ({
        key: key?.toString() ?? '',
        bytes: value ?? Buffer.alloc(0),
        offset,
      }))
      if (batch.nextOffset <= position) return
      position = batch.nextOffset
    }
  } finally {
    await reader.close()
  }
}
