/** As much of the log as a sink uses, in memory: topics, a producer, and groups that share out partitions. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupHandler, Log, LogRecord, OutRecord, TopicPartition } from '../../core/ports/log.ts'

const BATCH_RECORDS_MAX = 50

interface Member {
  readonly owned: Set<number>
  stopped: boolean
}

export interface FakeLog {
  readonly log: Log
  append(records: readonly OutRecord[]): void
  records(topic: string): readonly LogRecord[]
  committed(group: string, topic: string): number
}

export function fakeLog(topics: Readonly<Record<string, number>>): FakeLog {
  const partitions = new Map<string, LogRecord[]>()
  const offsets = new Map<string, number>()
  const groups = new Map<string, Member[]>()
  const at = (topic: string, partition: number): LogRecord[] => {
    const name = `${topic}/${partition}`
    const found = partitions.get(name) ?? []
    partitions.set(name, found)
    return found
  }
  const append = (records: readonly OutRecord[]): void => {
    for (const { key, value, ...record } of records) {
      const list = at(record.topic, record.partition)
      const bytes = (part: Buffer | string | null): Buffer | null =>
        typeof part === 'string' ? Buffer.from(part) : part
      list.push({ ...record, key: bytes(key), value: bytes(value), offset: list.length })
    }
  }
  const consume = async (group: string, topic: string, member: Member, handler: GroupHandler): Promise<void> => {
    const members = groups.get(group) ?? []
    groups.set(group, members)
    members.push(member)
    const count = topics[topic] ?? 0
    while (!member.stopped) {
      const mine = new Set([...Array(count).keys()].filter((p) => members[p % members.length] === member))
      const part = (p: number): TopicPartition => ({ topic, partition: p })
      const gained = [...mine].filter((p) => !member.owned.has(p)).map(part)
      const lost = [...member.owned].filter((p) => !mine.has(p)).map(part)
      if (gained.length + lost.length > 0) await handler.rebalanced({ gained, lost })
      member.owned.clear()
      for (const p of mine) member.owned.add(p)
      let delivered = 0
      for (const partition of mine) {
        const fetchOffset = offsets.get(`${group}/${topic}/${partition}`) ?? 0
        const list = at(topic, partition)
        const records = list.slice(fetchOffset, fetchOffset + BATCH_RECORDS_MAX)
        if (records.length === 0 || member.stopped) continue
        delivered += records.length
        const nextOffset = fetchOffset + records.length
        const batch = { topic, partition, records, fetchOffset, nextOffset, end: list.length }
        await handler.batch(batch, { heartbeat: () => Promise.resolve() })
      }
      if (delivered === 0) await sleep(2)
    }
    members.splice(members.indexOf(member), 1)
    await handler.rebalanced({ gained: [], lost: [...member.owned].map((partition) => ({ topic, partition })) })
  }
  const unused = (): never => {
    throw new Error('the fake log has no such operation')
  }
  const log: Log = {
    createTopics: unused,
    topic: (topic) => {
      const count = topics[topic]
      return Promise.resolve(count === undefined ? undefined : { topic, partitions: count })
    },
    listTopics: unused,
    bounds: unused,
    offsetAt: unused,
    committed: unused,
    transactional: unused,
    reader: unused,
    producer: () =>
      Promise.resolve({
        send: (records) => {
          append(records)
          return Promise.resolve([])
        },
        close: () => Promise.resolve(),
      }),
    consumer: ({ group, topics: [topic = ''] }) => {
      const member: Member = { owned: new Set(), stopped: false }
      let running: Promise<void> | undefined
      return {
        run: (handler) => (running = consume(group, topic, member, handler)),
        stop: async () => {
          member.stopped = true
          await running?.catch(() => undefined)
        },
        commit: (positions) => {
          for (const p of positions) offsets.set(`${group}/${p.topic}/${p.partition}`, p.offset)
          return Promise.resolve()
        },
      }
    },
    close: () => Promise.resolve(),
  }
  const each = (topic: string): number[] => [...Array(topics[topic] ?? 0).keys()]
  return {
    log,
    append,
    records: (topic) => each(topic).flatMap((partition) => at(topic, partition)),
    committed: (group, topic) => each(topic).reduce((sum, p) => sum + (offsets.get(`${group}/${topic}/${p}`) ?? 0), 0),
  }
}
