/** As much of the log as a sink uses, in memory: topics, a producer, and groups that share out partitions. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupConsumer, GroupHandler, Log, LogRecord, OutRecord, TopicPartition } from '../../core/ports/log.ts'

const BATCH_RECORDS_MAX = 50

export interface FakeLog {
  readonly log: Log
  append(records: readonly OutRecord[]): void
  records(topic: string): readonly LogRecord[]
  /** The sum of the group's committed offsets: offsets have no gaps here. */
  committed(group: string, topic: string): number
}

/** `topics`: how many partitions each has. */
export function fakeLog(topics: Readonly<Record<string, number>>): FakeLog {
  const store = openStore(topics)
  const groups = new Map<string, object[]>()
  const log: Log = {
    createTopics: unused,
    topic: (topic) => {
      const partitions = topics[topic]
      return Promise.resolve(partitions === undefined ? undefined : { topic, partitions })
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
          store.append(records)
          return Promise.resolve([])
        },
        close: () => Promise.resolve(),
      }),
    consumer: ({ group, topics: [topic = ''] }) => {
      const members = groups.get(group) ?? []
      groups.set(group, members)
      return fakeConsumer({ store, group, topic, members })
    },
    close: () => Promise.resolve(),
  }
  return {
    log,
    append: (records) => store.append(records),
    records: (topic) => store.partitions(topic).flatMap((p) => store.at(p)),
    committed: (group, topic) => store.partitions(topic).reduce((sum, p) => sum + store.offset(group, p), 0),
  }
}

function unused(): never {
  throw new Error('the fake log has no such operation')
}

type Store = ReturnType<typeof openStore>

function openStore(topics: Readonly<Record<string, number>>) {
  const records = new Map<string, LogRecord[]>()
  const offsets = new Map<string, number>()
  const at = ({ topic, partition }: TopicPartition): LogRecord[] => {
    const list = records.get(`${topic}/${partition}`) ?? []
    records.set(`${topic}/${partition}`, list)
    return list
  }
  const bytes = (part: Buffer | string | null): Buffer | null => (typeof part === 'string' ? Buffer.from(part) : part)
  return {
    at,
    append(added: readonly OutRecord[]): void {
      for (const { key, value, ...record } of added) {
        const list = at(record)
        list.push({ ...record, key: bytes(key), value: bytes(value), offset: list.length })
      }
    },
    partitions: (topic: string): TopicPartition[] =>
      Array.from({ length: topics[topic] ?? 0 }, (_, partition) => ({ topic, partition })),
    offset: (group: string, p: TopicPartition): number => offsets.get(`${group}/${p.topic}/${p.partition}`) ?? 0,
    commit: (group: string, p: TopicPartition & { offset: number }): void =>
      void offsets.set(`${group}/${p.topic}/${p.partition}`, p.offset),
  }
}

interface Place {
  readonly store: Store
  readonly group: string
  readonly topic: string
  readonly members: object[]
}

function fakeConsumer(place: Place): GroupConsumer {
  const { store, group, members } = place
  const self = { stopped: false }
  let running: Promise<void> | undefined
  return {
    run: (handler) => {
      members.push(self)
      running = consume(place, self, handler).finally(() => members.splice(members.indexOf(self), 1))
      return running
    },
    stop: async () => {
      self.stopped = true
      await running?.catch(() => undefined)
    },
    commit: (positions) => {
      for (const position of positions) store.commit(group, position)
      return Promise.resolve()
    },
  }
}

async function consume(place: Place, self: { stopped: boolean }, handler: GroupHandler): Promise<void> {
  const { store, group, topic, members } = place
  let owned: TopicPartition[] = []
  while (!self.stopped) {
    const mine = store.partitions(topic).filter(({ partition }) => members[partition % members.length] === self)
    const without = (list: TopicPartition[], others: TopicPartition[]): TopicPartition[] =>
      list.filter((p) => !others.some((other) => other.partition === p.partition))
    const [gained, lost] = [without(mine, owned), without(owned, mine)]
    if (gained.length + lost.length > 0) await handler.rebalanced({ gained, lost })
    owned = mine
    let delivered = 0
    for (const p of mine) {
      const fetchOffset = store.offset(group, p)
      const records = store.at(p).slice(fetchOffset, fetchOffset + BATCH_RECORDS_MAX)
      if (records.length === 0) continue
      delivered += records.length
      const batch = { ...p, records, fetchOffset, nextOffset: fetchOffset + records.length, end: store.at(p).length }
      await handler.batch(batch, { heartbeat: () => Promise.resolve() })
    }
    if (delivered === 0) await sleep(2)
  }
  await handler.rebalanced({ gained: [], lost: owned })
}
