/** How the partner behaves, which can be changed while it runs. */
import { messageOf, OncewardError } from '../../core/errors.ts'
import { seededRandom } from '../../core/random.ts'
import type { Clock } from '../../core/clock.ts'
import { type DownWindow, FAULT_KINDS, type Fault, type FaultRates, faultOf, faultRates, isDown } from './faults.ts'

/** `answer`: 503. `close`: the connection is closed without an answer, as where nobody listens. */
export type Down = 'no' | 'answer' | 'close'

export interface BehaviourChange {
  readonly faults?: Partial<FaultRates>
  /** Before each answer, ms. */
  readonly latencyMs?: number
  /** How late the answer of the fault `late` is, ms; above the caller's time-out, it comes too late. */
  readonly lateMs?: number
  /** What the fault `throttle` asks for, seconds. */
  readonly retryAfterS?: number
  readonly down?: Down
  /** How long `down` lasts, ms; without it, until it is said otherwise. */
  readonly downForMs?: number
}

export interface Behaviour {
  /** Throws ONCEWARD_E_SETTING_INVALID, and then nothing has changed. */
  change(change: BehaviourChange): void
  down(): Down
  nextFault(): Fault
  readonly latencyMs: number
  readonly lateMs: number
  readonly retryAfterS: number
}

export interface BehaviourOptions extends BehaviourChange {
  readonly clock: Clock
  readonly seed: number
  readonly downWindow?: DownWindow
}

const NUMBERS = ['latencyMs', 'lateMs', 'retryAfterS', 'downForMs'] as const
const DOWNS: readonly unknown[] = ['no', 'answer', 'close'] satisfies readonly Down[]

export function openBehaviour({ clock, seed, downWindow, ...options }: BehaviourOptions): Behaviour {
  const random = seededRandom(seed)
  const began = clock.monotonic()
  let rates = faultRates({})
  let down: { readonly how: Down; readonly until: number } = { how: 'no', until: Infinity }
  let numbers = { latencyMs: 0, lateMs: 1_000, retryAfterS: 1 }
  if (downWindow !== undefined) checkWindow(downWindow)
  const change = ({ faults, down: how, ...rest }: BehaviourChange): void => {
    const nextRates = faultRates(faults ?? {}, rates)
    for (const name of NUMBERS) checkNumber(name, rest[name])
    if (how !== undefined && !DOWNS.includes(how)) throw invalid(`down is "${how}"; write no, answer or close`)
    rates = nextRates
    numbers = {
      latencyMs: rest.latencyMs ?? numbers.latencyMs,
      lateMs: rest.lateMs ?? numbers.lateMs,
      retryAfterS: rest.retryAfterS ?? numbers.retryAfterS,
    }
    if (how !== undefined) down = { how, until: clock.monotonic() + (rest.downForMs ?? Infinity) }
  }
  change(options)
  return {
    change,
    down() {
      const now = clock.monotonic()
      if (down.how !== 'no' && now < down.until) return down.how
      return isDown(now - began, downWindow) ? 'answer' : 'no'
    },
    nextFault: () => faultOf(random(), rates),
    get latencyMs() {
      return numbers.latencyMs
    },
    get lateMs() {
      return numbers.lateMs
    },
    get retryAfterS() {
      return numbers.retryAfterS
    },
  }
}

function checkNumber(name: string, value: number | undefined): void {
  if (value === undefined || (Number.isFinite(value) && value >= 0 && value <= 86_400_000)) return
  throw invalid(`${name} is ${value}; write a number from 0 to 86400000`)
}

function checkWindow({ forMs, everyMs }: DownWindow): void {
  if (forMs > 0 && forMs < everyMs) return
  throw invalid(`a partner that is down for ${forMs} ms of every ${everyMs} ms is not possible; write such as 10s/60s`)
}

const KEYS: Readonly<Record<string, keyof BehaviourChange>> = {
  faults: 'faults',
  latency_ms: 'latencyMs',
  late_ms: 'lateMs',
  retry_after_s: 'retryAfterS',
  down: 'down',
  down_for_ms: 'downForMs',
}

/** The body of `POST /control`, in snake case. Throws ONCEWARD_E_SETTING_INVALID for anything it does not know. */
export function parseChange(body: Buffer): BehaviourChange {
  let value: unknown
  try {
    value = JSON.parse(body.toString())
  } catch (error) {
    throw invalid(`not JSON: ${messageOf(error)}`)
  }
  if (!isRecord(value)) throw invalid('write an object such as {"faults":{"fail":0.1}}')
  const change: Record<string, unknown> = {}
  for (const [key, given] of Object.entries(value)) {
    const name = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
    if (name === undefined) throw invalid(`"${key}" is unknown; there are ${Object.keys(KEYS).join(', ')}`)
    if (name === 'faults') checkFaults(given)
    else if (typeof given !== (name === 'down' ? 'string' : 'number')) throw invalid(`${key} is of another kind`)
    change[name] = given
  }
  // Each value is of its kind; what it may be is checked where it is taken over.
  return change
}

function checkFaults(value: unknown): void {
  const kinds: readonly string[] = FAULT_KINDS
  if (!isRecord(value)) throw invalid('faults is an object such as {"fail":0.1}')
  for (const [kind, rate] of Object.entries(value)) {
    if (!kinds.includes(kind)) throw invalid(`there is no fault "${kind}"; there are ${kinds.join(', ')}`)
    if (typeof rate !== 'number') throw invalid(`the ${kind} rate is no number`)
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
}
