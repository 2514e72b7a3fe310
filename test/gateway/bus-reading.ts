import type { Log } from '../../core/ports/log.ts'

/** The values of all records of `topic`, partition by partition. */
export async function valuesOf(log: Log, topic: string): Promise<readonly Buffer[]> {
  const { partitions = 0 } = (await log.topic(topic)) ?? {}
  const values: Buffer[] = []
  const places = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))
  const bounds = await log.bounds(places)
  for (const place of places) {
    const { earliest = 0, end = 0 } = bounds[place.partition] ?? {}
    const reader = await log.reader(place)
    let offset = earliest
    while (offset < end) {
      const batch = await reader.read(offset, { waitMs: 100 })
      for (const { value } of batch.records) if (value !== null) values.push(value)
      offset = batch.nextOffset
    }
    await reader.close()
  }
  return values
}
