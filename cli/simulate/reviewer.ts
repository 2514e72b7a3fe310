import type { PartitionReader } from '../../core/ports/log.ts'
import { type DlqRecord, type DlqStep, letterId } from '../../core/model/dlq.ts'
import { REPROCESSED_HEADER } from '../../core/topics.ts'
import type { Plant } from './machines.ts'

interface Letter {
  readonly id: string
  readonly record: DlqRecord
}

/** Nobody sends a letter again for ever. */
const STEPS_MAX = 4

/**
 * A person who looks at dead letters and sends some of them again, to where they came from and with what was done to them in the
 * header: at once, or long after, when what they need may be forgotten. Some twice, for people click twice; some under a
 * header that says something else than it should.
 */
export class Reviewer {
  readonly #plant: Plant
  readonly #letters: Letter[] = []
  #readers: { readonly reader: PartitionReader; readonly partition: number; position: number }[] | undefined

  constructor(plant: Plant) {
    this.#plant = plant
  }

  async next(): Promise<void> {
    const { clock, chance } = this.#plant
    await clock.sleep(chance.between(20, 700))
    const before = this.#letters.length
    await this.#read()
    for (const letter of this.#letters.slice(before)) {
      if (chance.is(letter.record.reason === 'late' ? 0.8 : 0.1)) await this.#sendAgain(letter)
    }
    const old = chance.is(0.15) ? chance.pick(this.#letters) : undefined
    if (old !== undefined) await this.#sendAgain(old)
  }

  async #read(): Promise<void> {
    const { log, topics } = this.#plant
    if (this.#readers === undefined) {
      const partitions = (await log.topic(topics.dlq))?.partitions ?? 0
      const all = Array.from({ length: partitions }, (_, partition) => partition)
      this.#readers = await Promise.all(
        all.map(async (partition) => ({
          reader: await log.reader({ topic: topics.dlq, partition }),
          partition,
          position: 0,
        })),
      )
    }
    for (const place of this.#readers) {
      const { records, nextOffset } = await place.reader.read(place.position)
      place.position = nextOffset
      for (const { partition, offset, value } of records) {
        const record = JSON.parse(value?.toString() ?? 'null') as DlqRecord
        if (record.source?.topic !== topics.events || (record.history?.length ?? 0) >= STEPS_MAX) continue
        this.#letters.push({ id: letterId({ partition, offset }), record })
      }
    }
  }

  async #sendAgain({ id, record }: Letter): Promise<void> {
    const { log, clock, chance, topics, trace } = this.#plant
    const { source, raw, reason, user_id: key = null, history = [] } = record
    if (source === null) return
    const at = new Date(clock.now()).toISOString()
    const step: DlqStep = { letter: id, was: reason, action: 'reprocess', actor: 'ada', at }
    const honest = JSON.stringify({ history: [...history, step] })
    const header = chance.is(0.88) ? honest : this.#otherHeader(step)
    const headers = { [REPROCESSED_HEADER]: Buffer.from(header) }
    const again = {
      topic: topics.events,
      partition: source.partition,
      key,
      value: raw,
      timestamp: clock.now(),
      headers,
    }
    const times = chance.is(0.2) ? 2 : 1
    trace.note(`the letter ${id} (${reason}) is sent again${times === 2 ? ', twice' : ''}`)
    const producer = await log.producer()
    await producer.send(Array.from({ length: times }, () => again))
    await producer.close()
  }

  /** One that says that the letter was none for being late, or one that nobody can read. */
  #otherHeader(step: DlqStep): string {
    const { chance } = this.#plant
    if (chance.is(0.7)) return JSON.stringify({ history: [{ ...step, was: chance.pick(['schema', 'future']) }] })
    return chance.pick(['', 'late', '{"history":[]}', '{"history":[{"was":"late"}]}', '{"history":"late"}'])
  }
}
