import { type AnchorLine, GENESIS, readLine, writeAnchor } from '../../core/audit/lines.ts'
import type { AnchorChain, AnchorPlace, AnchorReader, AuditHead } from '../../core/ports/audit.ts'
import type { Log, Producer } from '../../core/ports/log.ts'

const READ_BYTES_MAX = 4 * 1_048_576

/**
 * Anchors on a topic with one partition, keyed by stream. Each process chains its own: what the broker has acknowledged
 * nobody can change, only delete from the beginning of the topic.
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
      // Its next try needs a producer that nothing is wrong with.
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
  const records = async function* (): AsyncGenerator<readonly { key: string; bytes: Buffer; offset: number }[]> {
    if ((await log.topic(topic)) === undefined) return
    const partition = { topic, partition: 0 }
    const [bounds] = await log.bounds([partition])
    const reader = await log.reader(partition)
    try {
      for (let position = bounds?.earliest ?? 0; position < (bounds?.end ?? 0); ) {
        const batch = await reader.read(position, { bytesMax: READ_BYTES_MAX })
        yield batch.records.map(({ key, value, offset }) => ({
          key: key?.toString() ?? '',
          bytes: value ?? Buffer.alloc(0),
          offset,
        }))
        if (batch.nextOffset <= position) break
        position = batch.nextOffset
      }
    } finally {
      await reader.close()
    }
  }
  return {
    name: `topic ${topic}`,
    unbroken: false,
    async streams() {
      const names = new Set<string>()
      for await (const batch of records()) for (const { key } of batch) names.add(key)
      return [...names].sort()
    },
    async *lines(stream) {
      for await (const batch of records()) {
        const own = batch.filter(({ key }) => key === stream)
        yield own.map(({ bytes, offset }) => ({ bytes, place: `offset ${offset}` }))
      }
    },
  }
}
