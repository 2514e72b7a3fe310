import { type ErrorCode, messageOf, OncewardError } from '../../../core/errors.ts'
import type { KafkaFailure } from './internals.ts'

/** What an error of kafkajs or of the broker means to us. */
export type FailureKind =
  /** The connection failed or no answer came: the request may or may not have been carried out. */
  | 'unreachable'
  /** The broker answered that it can't now; it, or another broker, will. */
  | 'not-ready'
  /** A transaction is being settled; a matter of milliseconds. */
  | 'concurrent'
  | 'topic-missing'
  /** Fewer brokers are in service than a new topic shall have copies: some are just starting, or there are no more. */
  | 'brokers-missing'
  | 'producer-fenced'
  /** The transaction or producer id is gone or out of step: nothing was or will be committed by it; open it again. */
  | 'producer-lost'
  | 'member-out'
  | 'rebalancing'
  | 'offset-out-of-range'
  | 'too-large'
  | 'refused'

/** Error codes of Kafka's protocol, by the names kafkajs gives them. Source: org.apache.kafka.common.protocol.Errors. */
const KIND_OF_TYPE: Readonly<Record<string, FailureKind>> = {
  OFFSET_OUT_OF_RANGE: 'offset-out-of-range',
  UNKNOWN_TOPIC_OR_PARTITION: 'topic-missing',
  INVALID_TOPIC_EXCEPTION: 'topic-missing',
  INVALID_REPLICATION_FACTOR: 'brokers-missing',
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  CONCURRENT_TRANSACTIONS: 'concurrent',
  UNSTABLE_OFFSET_COMMIT: 'concurrent',
  INVALID_PRODUCER_EPOCH: 'producer-fenced',
  TRANSACTION_COORDINATOR_FENCED: 'not-ready',
  INVALID_TXN_STATE: 'producer-lost',
  INVALID_PRODUCER_ID_MAPPING: 'producer-lost',
  UNKNOWN_PRODUCER_ID: 'producer-lost',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'producer-lost',
  DUPLICATE_SEQUENCE_NUMBER: 'producer-lost',
  UNKNOWN_MEMBER_ID: 'member-out',
  ILLEGAL_GENERATION: 'member-out',
  FENCED_INSTANCE_ID: 'member-out',
  REBALANCE_IN_PROGRESS: 'rebalancing',
  FENCED_LEADER_EPOCH: 'not-ready',
  UNKNOWN_LEADER_EPOCH: 'not-ready',
  LEADER_NOT_AVAILABLE: 'not-ready',
  NOT_LEADER_FOR_PARTITION: 'not-ready',
  OFFSET_NOT_AVAILABLE: 'not-ready',
  BROKER_NOT_AVAILABLE: 'not-ready',
  NOT_CONTROLLER: 'not-ready',
  KAFKA_STORAGE_ERROR: 'not-ready',
  STALE_CONTROLLER_EPOCH: 'not-ready',
  // "unexpected error": a broker that goes down, or a transaction that another producer fences at that very moment
  UNKNOWN: 'not-ready',
}

/** Codes that kafkajs 2.2.4 doesn't know; it puts the number into the message. */
const KIND_OF_CODE: Readonly<Record<string, FailureKind>> = {
  '90': 'producer-fenced', // PRODUCER_FENCED
  '120': 'producer-lost', // TRANSACTION_ABORTABLE
}

/** The time for a step was up before any answer came. */
export class TimeLimit extends Error {
  override name = 'TimeLimit'

  constructor(msMax: number) {
    super(`there was no answer within ${msMax} ms`)
  }
}

const UNREACHABLE_NAMES = new Set([
  'TimeLimit',
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSBrokerNotFound',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
  'KafkaJSLockTimeout',
  'KafkaJSNoBrokerAvailableError',
])

/** Never throws; whatever is not known to be harmless is `refused`. */
export function kindOf(error: unknown): FailureKind {
  const failure = rootOf(error)
  if (failure.type === 'KAFKAJS_UNKNOWN_ERROR_CODE') {
    return KIND_OF_CODE[/-?\d+$/.exec(failure.message)?.[0] ?? ''] ?? 'refused'
  }
  const known = failure.type === undefined ? undefined : KIND_OF_TYPE[failure.type]
  if (known) return known
  if (UNREACHABLE_NAMES.has(failure.name)) return 'unreachable'
  if (failure.name.startsWith('KafkaJS') && failure.retriable === true) return 'not-ready'
  return 'refused'
}

/** kafkajs wraps errors in errors; the innermost that names a protocol error or a connection's end says most. */
function rootOf(error: unknown): KafkaFailure {
  if (!(error instanceof Error)) return { name: 'unknown', message: String(error) }
  const failure: KafkaFailure = error
  const inner = failure.errors?.[0] ?? failure.cause
  return failure.type === undefined && inner instanceof Error ? rootOf(inner) : failure
}

/** Whether the same request may be sent again as it is. */
export function isTransient(kind: FailureKind): boolean {
  return kind === 'unreachable' || kind === 'not-ready' || kind === 'concurrent'
}

const CODE_OF_KIND: Readonly<Record<FailureKind, ErrorCode>> = {
  unreachable: 'ONCEWARD_E_LOG_UNAVAILABLE',
  'not-ready': 'ONCEWARD_E_LOG_UNAVAILABLE',
  concurrent: 'ONCEWARD_E_LOG_UNAVAILABLE',
  'producer-lost': 'ONCEWARD_E_LOG_UNAVAILABLE',
  rebalancing: 'ONCEWARD_E_LOG_UNAVAILABLE',
  'topic-missing': 'ONCEWARD_E_LOG_TOPIC_MISSING',
  'brokers-missing': 'ONCEWARD_E_LOG_REFUSED',
  'producer-fenced': 'ONCEWARD_E_LOG_FENCED',
  'member-out': 'ONCEWARD_E_LOG_FENCED',
  'offset-out-of-range': 'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE',
  'too-large': 'ONCEWARD_E_LOG_RECORD_TOO_LARGE',
  refused: 'ONCEWARD_E_LOG_REFUSED',
}

const ADVICE_OF_KIND: Readonly<Record<FailureKind, string>> = {
  unreachable: 'check that the brokers run and can be reached, then try again',
  'not-ready': 'try again once the cluster has settled',
  concurrent: 'try again once the transaction has ended',
  'producer-lost': 'nothing was committed; open the producer again',
  rebalancing: 'try again once the group has settled',
  'topic-missing': 'create it first (onceward topics create), or correct the name',
  'brokers-missing': 'start as many brokers as a topic shall have copies, or ask for fewer copies',
  'producer-fenced': 'nothing was committed; another producer owns this transactional id now',
  'member-out': 'the group has given the partitions to others',
  'offset-out-of-range': 'choose an offset that the partition still holds',
  'too-large': 'raise max.message.bytes of the topic, or write smaller records',
  refused: 'correct what Kafka objects to',
}

/** `action` completes "could not …". An OncewardError passes as it is. */
export function toOncewardError(error: unknown, action: string): OncewardError {
  if (error instanceof OncewardError) return error
  const kind = kindOf(error)
  const message = `Could not ${action}: ${messageOf(rootOf(error))}; ${ADVICE_OF_KIND[kind]}`
  return new OncewardError(CODE_OF_KIND[kind], message, { cause: error })
}

/** What an attempt to end a transaction with a commit tells. `uncertain`: an earlier attempt may have got through. */
export type EndTransaction = 'retry' | 'fenced' | 'aborted' | 'unknown'

/**
 * What to do when EndTxn(commit) failed. Sending it again is safe: the coordinator answers a repeat from the same
 * producer epoch with success. But once one attempt may have got through, no later refusal proves anything: a newer
 * producer can fence us after our commit has been carried out.
 */
export function decideEndTransaction(facts: {
  readonly kind: FailureKind
  readonly uncertain: boolean
  readonly outOfTime: boolean
}): { readonly step: EndTransaction; readonly uncertain: boolean } {
  // a coordinator that lost its leadership while writing answers "not ready" although the write may survive
  const uncertain = facts.uncertain || facts.kind === 'unreachable' || facts.kind === 'not-ready'
  if (isTransient(facts.kind) && !facts.outOfTime) return { step: 'retry', uncertain }
  if (uncertain) return { step: 'unknown', uncertain }
  if (facts.kind === 'producer-fenced') return { step: 'fenced', uncertain }
  // refused outright, or kept waiting behind its own unsettled predecessor until the time was up
  return { step: 'aborted', uncertain }
}
