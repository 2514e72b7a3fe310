/**
 * The one door to kafkajs. We use its connections, authentication, metadata and request encodings, and neither its
 * consumer nor its producer: docs/decisions/0002-kafkajs-behind-a-narrow-port.md says why. Its internals carry no types
 * and no promise of stability, so the version is pinned and everything used of them is declared here.
 */
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { KafkaConfig } from 'kafkajs'
import type { Logger } from '../../../core/ports/logger.ts'

export interface ProtocolRequest {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<{ readonly buf: Buffer; readonly buffer: Buffer; size(): number }>
  }
  readonly response: { decode(payload: Buffer): Promise<unknown>; parse(decoded: unknown): Promise<unknown> }
  /** Milliseconds; the longer of this and the connection's own limit holds. */
  readonly requestTimeout?: number
}

interface Connection {
  connect(): Promise<unknown>
  rejectRequests(error: Error): void
}

interface TopicErrorsPlain {
  readonly topic: string
  readonly partitions: readonly number[]
}

export interface ProducerIdentity {
  readonly producerId: bigint | string | number
  readonly producerEpoch: number
}

export interface JoinedGroup {
  readonly generationId: number
  readonly groupProtocol: string
  readonly leaderId: string
  readonly memberId: string
  readonly members: readonly { readonly memberId: string; readonly memberMetadata: Buffer }[]
}

interface OffsetsByTopic {
  readonly topic: string
  readonly partitions: readonly { readonly partition: number; readonly offset: string; readonly metadata: null }[]
}

export interface TopicMetadata {
  readonly topic: string
  readonly partitionMetadata: readonly { readonly partitionId: number; readonly leader: number }[]
}

export interface KafkaBroker {
  readonly nodeId: number | string
  readonly connectionPool: { readonly pool: readonly Connection[]; send(request: ProtocolRequest): Promise<unknown> }
  disconnect(): Promise<void>
  metadata(topics: readonly string[]): Promise<{ readonly topicMetadata: readonly TopicMetadata[] }>
  findGroupCoordinator(request: {
    groupId: string
    coordinatorType: number
  }): Promise<{ readonly coordinator: { readonly nodeId: number } }>
  initProducerId(request: { transactionalId?: string; transactionTimeout: number }): Promise<ProducerIdentity>
  addPartitionsToTxn(
    request: ProducerIdentity & { transactionalId: string; topics: readonly TopicErrorsPlain[] },
  ): Promise<unknown>
  addOffsetsToTxn(request: ProducerIdentity & { transactionalId: string; groupId: string }): Promise<unknown>
  txnOffsetCommit(
    request: ProducerIdentity & { transactionalId: string; groupId: string; topics: readonly OffsetsByTopic[] },
  ): Promise<unknown>
  endTxn(request: ProducerIdentity & { transactionalId: string; transactionResult: boolean }): Promise<unknown>
  joinGroup(request: {
    groupId: string
    memberId: string
    sessionTimeout: number
    rebalanceTimeout: number
    groupProtocols: readonly { readonly name: string; readonly metadata: Buffer }[]
  }): Promise<JoinedGroup>
  syncGroup(request: {
    groupId: string
    memberId: string
    generationId: number
    groupAssignment: readonly { readonly memberId: string; readonly memberAssignment: Buffer }[]
  }): Promise<{ readonly memberAssignment: Buffer }>
  heartbeat(request: { groupId: string; memberId: string; groupGenerationId: number }): Promise<unknown>
  describeGroups(request: { readonly groupIds: readonly string[] }): Promise<{
    readonly groups: readonly { readonly groupId: string; readonly members: readonly unknown[] }[]
  }>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  offsetCommit(request: {
    groupId: string
    memberId: string
    groupGenerationId: number
    topics: readonly OffsetsByTopic[]
  }): Promise<unknown>
  listOffsets(request: {
    isolationLevel: number
    topics: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly timestamp: number }[]
    }[]
  }): Promise<{
    readonly responses: readonly {
      readonly topic: string
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
    }[]
  }>
  createTopics(request: {
    topics: readonly {
      readonly topic: string
      readonly numPartitions: number
      readonly replicationFactor: number
      readonly configEntries: readonly { readonly name: string; readonly value: string }[]
    }[]
    timeout: number
  }): Promise<unknown>
  describeConfigs(request: {
    resources: readonly { readonly type: number; readonly name: string; readonly configNames: readonly string[] }[]
  }): Promise<{
    readonly resources: readonly {
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string | null }[]
    }[]
  }>
}

export interface KafkaCluster {
  readonly brokerPool: {
    readonly brokers: Readonly<Record<string, KafkaBroker>>
    readonly seedBroker?: KafkaBroker
    readonly metadata: object | null
    findConnectedBroker(): Promise<KafkaBroker>
  }
  readonly targetTopics: Set<string>
  connect(): Promise<void>
  disconnect(): Promise<void>
  refreshMetadata(): Promise<void>
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>
  findBroker(node: { nodeId: number | string }): Promise<KafkaBroker>
  findControllerBroker(): Promise<KafkaBroker>
  findTopicPartitionMetadata(topic: string): TopicMetadata['partitionMetadata']
}

/** kafkajs' own error as far as we look into it. */
export interface KafkaFailure {
  readonly name: string
  readonly message: string
  readonly type?: string
  readonly code?: number | string
  readonly retriable?: boolean
  readonly cause?: unknown
  /** Of an aggregate: one for each topic. */
  readonly errors?: readonly unknown[]
}

export interface ClusterOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly ssl: KafkaConfig['ssl'] | undefined
  readonly sasl: KafkaConfig['sasl'] | undefined
  readonly requestMsMax: number
  readonly logger: Logger
}

const load = createRequire(import.meta.url)
const Cluster = load('kafkajs/src/cluster') as new (options: object) => KafkaCluster
const loggers = load('kafkajs/src/loggers') as { createLogger(options: object): object }
const socketFactory = load('kafkajs/src/network/socketFactory') as () => (options: object) => Socket
const protocolErrors = load('kafkajs/src/protocol/error') as { createErrorFromCode(code: number): Error }
const compression = load('kafkajs/src/protocol/message/compression') as {
  lookupCodecByAttributes(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> } | null
}

const CONNECT_MS_MAX = 5_000
const KAFKAJS_INFO = 4
const ERROR_LEVEL = 1
const WARN_LEVEL = 2

export interface Connections {
  readonly cluster: KafkaCluster
  /** Cuts every connection, also those only just being made. kafkajs by itself waits for answers and may reconnect. */
  destroy(): void
}

/** Connections of their own to the brokers. kafkajs' retries are off: ours wrap whole steps and are bounded in time. */
export function createCluster(options: ClusterOptions): Connections {
  const sockets = new Set<Socket>()
  const gone = new Error('the connection was closed')
  let destroyed = false
  const connect = socketFactory()
  const cluster = new Cluster({
    ...clusterSettings(options),
    socketFactory: (target: object) => {
      const socket = connect(target)
      sockets.add(socket)
      // kafkajs takes leave of a socket that never connected as often as it tries; each time adds a listener
      socket.setMaxListeners(0)
      socket.once('close', () => sockets.delete(socket))
      // with an error: of a socket that closes quietly before it has connected kafkajs waits for its time-out
      if (destroyed) socket.destroy(gone)
      return socket
    },
  })
  const destroy = (): void => {
    destroyed = true
    const { brokers, seedBroker } = cluster.brokerPool
    for (const broker of [...Object.values(brokers), ...(seedBroker ? [seedBroker] : [])]) {
      for (const connection of broker.connectionPool.pool) connection.rejectRequests(gone)
    }
    for (const socket of sockets) socket.destroy(socket.connecting ? gone : undefined)
  }
  return { cluster, destroy }
}

const guarded = new WeakSet<Connection>()

/**
 * Makes concurrent calls of a connection's `connect` one. In kafkajs two requests that find it closed open a socket
 * each; the loser stays open unused until the broker closes it, which then tears down the winner with its requests.
 */
export function connectOnce(broker: KafkaBroker): KafkaBroker {
  for (const connection of broker.connectionPool.pool) {
    if (guarded.has(connection)) continue
    guarded.add(connection)
    const connect = connection.connect.bind(connection)
    let connecting: Promise<unknown> | undefined
    connection.connect = () => {
      connecting ??= connect().finally(() => {
        connecting = undefined
      })
      return connecting
    }
  }
  return broker
}

function clusterSettings(options: ClusterOptions): object {
  return {
    brokers: [...options.brokers],
    clientId: options.clientId,
    ...(options.ssl === undefined ? {} : { ssl: options.ssl }),
    ...(options.sasl === undefined ? {} : { sasl: options.sasl }),
    logger: loggers.createLogger({ level: KAFKAJS_INFO, logCreator: () => kafkajsLog(options.logger) }),
    connectionTimeout: CONNECT_MS_MAX,
    requestTimeout: options.requestMsMax,
    enforceRequestTimeout: true,
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    retry: { retries: 0 },
  }
}

/** kafkajs calls an error what our retries take in their stride, so its log is for debugging only. */
function kafkajsLog(logger: Logger): (entry: { level: number; namespace: string; log: { message: string } }) => void {
  return ({ level, namespace, log }) => {
    if (level === ERROR_LEVEL || level === WARN_LEVEL) {
      logger.debug({ kafkajs: namespace, detail: log }, `kafkajs: ${log.message}`)
    }
  }
}

/** A request whose body we encode ourselves, in the shape in which kafkajs copies it behind the request header. */
export function encoded(body: Buffer): { readonly buf: Buffer; readonly buffer: Buffer; size(): number } {
  return { buf: body, buffer: body, size: () => body.length }
}

export function errorOfCode(code: number): Error {
  return protocolErrors.createErrorFromCode(code)
}

/** undefined where the batch is not compressed. Throws where kafkajs has no codec for it (gzip is built in). */
export function codecOf(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> } | undefined {
  return compression.lookupCodecByAttributes(attributes) ?? undefined
}
