/**
 * What the client needs of the world around it, so that a test can be that world. Types are our own, as far as they are
 * used: the client runs in browsers and in Node, and neither's library of types is asked of who compiles against it.
 */
export interface Environment {
  /** Milliseconds since the Unix epoch; may jump. */
  now(): number
  /** A number in [0, 1). */
  random(): number
  /** A UUID of version 4. */
  uuid(): string
  /** Calls `run` after `ms`; what comes back stops it. */
  after(ms: number, run: () => void): () => void
  readonly fetch: Fetch
  /** Keeps what is queued beyond the page; undefined: memory alone. */
  readonly storage: QueueStorage | undefined
  /** Lives as long as the tab. */
  readonly session: Pick<QueueStorage, 'getItem' | 'setItem'> | undefined
  readonly locks: Locks | undefined
  /** `navigator.sendBeacon`: true where the browser has taken it over. */
  readonly beacon: ((url: string, body: string) => boolean) | undefined
  /** Tells what happens to the page until what comes back is called. */
  onPage(listen: (what: PageEvent) => void): () => void
}

/** `hidden`: nobody looks at it, and it may never be told more. `left`: the page goes. `back`: out of the back-forward cache. */
export type PageEvent = 'hidden' | 'left' | 'back' | 'online'

/** A part of the Web Storage API. Each call may throw. */
export interface QueueStorage {
  readonly length: number
  key(index: number): string | null
  getItem(key: string): string | null
  setItem(key: string, value: string): void
  removeItem(key: string): void
}

export type Fetch = (url: string, init: FetchInit) => Promise<FetchAnswer>

export interface FetchInit {
  readonly method: 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: Signal
  readonly credentials: 'omit'
  readonly redirect: 'error'
}

/** AbortSignal, where the compiler knows it. */
type Signal = typeof globalThis extends { AbortSignal: { prototype: infer Known } } ? Known : object

export interface FetchAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

/** A part of the Web Locks API: a lock is held until the promise that `held` returns is settled, or the page is gone. */
export interface Locks {
  request(
    name: string,
    options: { ifAvailable: true },
    held: (lock: unknown) => Promise<void> | undefined,
  ): Promise<void>
}

interface Target {
  addEventListener(type: string, listener: (event: { persisted?: boolean }) => void): void
  removeEventListener(type: string, listener: (event: { persisted?: boolean }) => void): void
}

interface Globals extends Target {
  readonly document?: Target & { readonly visibilityState: string }
  readonly navigator?: { readonly locks?: Locks; sendBeacon?(url: string, body: string): boolean }
  readonly localStorage?: QueueStorage
  readonly sessionStorage?: QueueStorage
  readonly crypto: { randomUUID?(): string; getRandomValues(bytes: Uint8Array): Uint8Array }
  readonly fetch: Fetch
}

/** The browser or the Node that this runs in. In Node, and while a page is rendered on a server, nothing is stored. */
export function surroundings(): Environment {
  const scope = globalThis as unknown as Globals
  const { document, navigator } = scope
  const inPage = document !== undefined
  return {
    now: () => Date.now(),
    random: () => Math.random(),
    uuid: () => uuid(scope.crypto),
    after: (ms, run) => {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    },
    fetch: (url, init) => scope.fetch(url, init),
    storage: inPage ? allowed(() => scope.localStorage) : undefined,
    session: inPage ? allowed(() => scope.sessionStorage) : undefined,
    locks: inPage ? navigator?.locks : undefined,
    beacon: navigator?.sendBeacon && ((url, body) => navigator.sendBeacon?.(url, body) === true),
    onPage: (listen) => (inPage ? listenTo(scope, document, listen) : () => {}),
  }
}

/** Asking for a storage throws where the page may not have one. */
function allowed<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch {
    return undefined
  }
}

function listenTo(scope: Target, document: Target & { visibilityState: string }, listen: (what: PageEvent) => void) {
  const heard: [Target, string, (event: { persisted?: boolean }) => void][] = [
    [document, 'visibilitychange', () => document.visibilityState === 'hidden' && listen('hidden')],
    [scope, 'pagehide', () => listen('left')],
    [scope, 'pageshow', ({ persisted }) => persisted && listen('back')],
    [scope, 'online', () => listen('online')],
  ]
  for (const [target, type, listener] of heard) target.addEventListener(type, listener)
  return () => {
    for (const [target, type, listener] of heard) target.removeEventListener(type, listener)
  }
}

/** `randomUUID` is there on secure pages only. */
function uuid(crypto: Globals['crypto']): string {
  if (crypto.randomUUID) return crypto.randomUUID()
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const hex = Array.from(bytes, (byte, index) => {
    const marked = index === 6 ? (byte & 15) | 64 : index === 8 ? (byte & 63) | 128 : byte
    return (marked + 256).toString(16).slice(1)
  }).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
