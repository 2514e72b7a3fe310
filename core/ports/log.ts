/**
 * The log: what Onceward needs of Kafka, and nothing more. Two adapters (kafka, embedded) pass one conformance suite.
 *
 * Terms are Kafka's. Offsets are whole numbers below 2^53 and may have gaps (transaction markers, compaction): count
 * records, never subtract offsets. Everything read here is read_committed.
 */
export type Headers = Readonly<Record<string, Buffer>>

export interface LogRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Milliseconds since the epoch: when the producer says it was written (CreateTime). */
  readonly timestamp: number
  readonly key: Buffer | null
  /** null is a tombstone. */
  readonly value: Buffer | null
  /** Absent where the record has none, so that the hot path allocates nothing. */
  readonly headers?: Headers
}

export interface OutRecord {
  readonly topic: string
  readonly partition: number
  readonly key: Buffer | string | null
  readonly value: Buffer | string | null
  /** Milliseconds since the epoch. */
  readonly timestamp: number
  readonly headers?: Headers
}

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Where the next record after those just appended will stand, at least: the last appended offset + 1. */
export interface AppendEnd extends TopicPartition {
  readonly nextOffset: number
}

/** A partition whose state lies with a member. */
export interface HeldState extends TopicPartition {
  /** How far the state goes, in a measure of its own that grows as it does: of several copies the greatest is newest. Default 0. */
  readonly reached?: number
}

export interface TopicSpec {
  readonly topic: string
  readonly partitions: number
  /** `compact` keeps the last value of each key; `delete` drops records older than `retentionMs`. */
  readonly cleanup: 'delete' | 'compact'
  /** Absent: kept for ever. */
  readonly retentionMs?: number
  /** For compacted topics: how long a tombstone stays readable. Kafka's default is 24 h. */
  readonly deleteRetentionMs?: number
  /** Kafka only; absent: the cluster's default. */
  readonly replicationFactor?: number
  /** Kafka only; absent: the cluster's default. Largest record in bytes. */
  readonly maxRecordBytes?: number
}

export interface TopicInfo {
  readonly topic: string
  readonly partitions: number
  /** As TopicSpec, read back; undefined where the broker doesn't tell. */
  readonly cleanup?: 'delete' | 'compact'
  readonly retentionMs?: number
  readonly deleteRetentionMs?: number
}

export interface OffsetBounds {
  /** Offset of the oldest record still held. */
  readonly earliest: number
  /** One past the last record that read_committed readers can see now (the last stable offset). */
  readonly end: number
}

/** A run of records of one partition, in offset order, committed ones only. */
export interface RecordBatch extends TopicPartition {
  readonly records: readonly LogRecord[]
  /** The position that was asked for; records may start above it. */
  readonly fetchOffset: number
  /** The position after this batch: above the last record's offset where markers or aborted records follow. */
  readonly nextOffset: number
  /** One past the last record readable in the partition when this was fetched: `end - nextOffset` bounds the lag. */
  readonly end: number
}

export interface GroupControl {
  /** Tells the group that this member is alive. Call it at least every few seconds in long work. Throws nothing. */
  heartbeat(): Promise<void>
}

export interface GroupHandler {
  /**
   * The assignment changed. `gained` are new, `lost` are gone, both relative to the last call. No batch of a gained
   * partition is delivered before this resolves, and none of a lost one after it began. It may run long: the adapter
   * keeps the membership alive meanwhile. A rejection ends `run` with that error.
   */
  rebalanced(change: { gained: readonly TopicPartition[]; lost: readonly TopicPartition[] }): Promise<void>
  /**
   * Where to begin reading a gained partition, asked once `rebalanced` has resolved. undefined: at the group's committed
   * offset, or at the earliest record where there is none.
   */
  startOffset(partition: TopicPartition): number | undefined
  /**
   * One batch; at most one at a time for each partition, several partitions at once. Answers the position to read next:
   * normally `batch.nextOffset`, a lower one to read again. A rejection ends `run` with that error.
   */
  batch(batch: RecordBatch, control: GroupControl): Promise<number>
  /**
   * The partitions of whose state this member is to keep a copy: all of them, each time that the group has shared out or
   * that they change; none that another call gave it to own. Never called while `rebalanced` runs. Only members with
   * `standbyCopies` above 0 are given any.
   */
  standby?(partitions: readonly TopicPartition[]): void
}

export interface GroupConsumer {
  /**
   * Joins the group and delivers until `stop` is called (then resolves), or until something cannot go on (then rejects
   * with an OncewardError). Losing the broker is retried within the adapter's bound. Never commits offsets by itself.
   */
  run(handler: GroupHandler): Promise<void>
  /** Finishes the batches under way, delivers `rebalanced` with all partitions lost, leaves the group. Idempotent. */
  stop(): Promise<void>
  /** Commits positions outside of a transaction (for sinks). Throws ONCEWARD_E_LOG_FENCED where the member is out. */
  commit(offsets: readonly (TopicPartition & { readonly offset: number })[]): Promise<void>
}

/** What a member keeps from one life to the next. */
export interface MemberMemory {
  /** The member id of its last life, which is certainly over; undefined where nothing is known of one. */
  readonly former: string | undefined
  /** Told each member id that the group gives, before the first partition comes with it. Throws nothing. */
  remember(memberId: string): void
}

export interface GroupConsumerOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** Milliseconds without a heartbeat after which the group gives the partitions to others. Default 30,000. */
  readonly sessionTimeoutMs?: number
  /**
   * Partitions whose state lies with this member, asked whenever the group shares out: a hint to give it these rather than
   * others, as far as the shares stay even. An adapter may ignore it.
   */
  readonly holdsState?: () => readonly HeldState[]
  /**
   * Copies of each partition's state that the group shall keep beside its owner's, this member taking its part: the
   * greatest number that any member asks for counts. 0 to 10, default 0: this member keeps none.
   */
  readonly standbyCopies?: number
  /**
   * Where a former life was cut off its place in the group is given up before this one joins, so that its partitions need
   * not wait for its session to expire. A place that the group does not know, or no longer, is nobody's.
   */
  readonly memory?: MemberMemory
  /** Most bytes of one partition in one fetch. Default 1 MiB. */
  readonly batchBytesMax?: number
}

export interface Commit {
  readonly records: readonly OutRecord[]
  /** The input positions that the records account for; they become the group's committed offsets in the transaction. */
  readonly offsets?: {
    readonly group: string
    readonly positions: readonly (TopicPartition & { readonly offset: number })[]
  }
}

export interface TransactionalProducer {
  /**
   * One transaction: all records and offsets, or none. Answers the end of each partition appended to. Readers may see it
   * some milliseconds after this resolves; `committed` and a newly opened transactional id always do.
   * - ONCEWARD_E_LOG_FENCED: not committed, and never will be; a newer producer has this transactional id.
   * - ONCEWARD_E_LOG_COMMIT_UNKNOWN: it may or may not have committed, now or later. Close this producer, open the id
   *   again (which settles it), and read the committed offset.
   * - any other error: not committed (aborted).
   * After any error the producer is unusable: close it and open another.
   */
  commit(commit: Commit): Promise<readonly AppendEnd[]>
  close(): Promise<void>
}

export interface Producer {
  /** Appends, each record once, retried within the adapter's bound. Acknowledged by all in-sync replicas. */
  send(records: readonly OutRecord[]): Promise<readonly AppendEnd[]>
  close(): Promise<void>
}

export interface PartitionReader {
  /**
   * Committed records from `offset` on; waits up to `waitMs` (default 0) for the first one. An empty batch means that
   * nothing readable is there: then `nextOffset` still moves past markers and aborted records.
   * ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE where `offset` is below the earliest or above the end.
   */
  read(offset: number, options?: { waitMs?: number; bytesMax?: number }): Promise<RecordBatch>
  close(): Promise<void>
}

export interface Log {
  /** Creates what does not exist yet; existing topics are left as they are. Answers those created. */
  createTopics(specs: readonly TopicSpec[]): Promise<readonly string[]>
  /** undefined where there is no such topic. */
  topic(topic: string): Promise<TopicInfo | undefined>
  listTopics(): Promise<readonly string[]>
  bounds(partitions: readonly TopicPartition[]): Promise<readonly OffsetBounds[]>
  /** The first offset whose timestamp is at least `timestamp`; the end where there is none. */
  offsetAt(partition: TopicPartition, timestamp: number): Promise<number>
  /** The group's committed positions, aligned with the input; undefined where it has none. Stable: no pending transaction. */
  committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly (number | undefined)[]>
  /** How many members the consumer group has now; 0 where there is no such group. */
  members(group: string): Promise<number>
  producer(): Promise<Producer>
  /**
   * Opens a transactional id: on return no other producer with this id can commit any more, and every transaction it
   * left is settled (committed or aborted), so that `committed` and `bounds` are final.
   */
  transactional(transactionalId: string): Promise<TransactionalProducer>
  /** Reads one partition without a group. */
  reader(partition: TopicPartition): Promise<PartitionReader>
  consumer(options: GroupConsumerOptions): GroupConsumer
  close(): Promise<void>
}
