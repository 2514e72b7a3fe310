import { Pool } from 'undici'
import type { Clock } from '../../core/clock.ts'
import { hasCode, messageOf, OncewardError } from '../../core/errors.ts'
import type {
  CompatibilityLevel,
  RegisteredSchema,
  RegistryVerdict,
  SchemaRegistry,
  SubjectVersion,
} from '../../core/ports/registry.ts'
import { type Answer, listOf, objectOf, refused, schemaOf, subjectVersionOf, textOf, wholeOf } from './answers.ts'

export interface HttpRegistryOptions {
  /** Where the API begins, such as `https://registry.example:8081`; a path is kept. */
  readonly url: string
  readonly user?: { readonly name: string; readonly password: string }
  /** PEM of the authority that signed the registry's certificate; default: the machine's. */
  readonly ca?: string
  readonly clock: Clock
  /** Of one call, connecting and reading apart, ms; default 10,000. */
  readonly timeoutMs?: number
  /** Further tries of a call that got no answer, or one that the registry is in trouble; default 4. */
  readonly retriesMax?: number
}

const TIMEOUT_MS = 10_000
const RETRIES_MAX = 4
const BACKOFF_MS = { first: 250, most: 4_000 }
/** Of an answer: the longest schema that is used (operators/wire-decoder.ts), escaped, and a list of very many subjects. */
const ANSWER_BYTES_MAX = 8 << 20
const CONNECTIONS = 4
/** How often a schema is offered where others register under the same subject at the same moment. */
const CONFLICTS_MAX = 10
const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json'

/** What the registry answers where it answers but has not what was asked for: subject, version, schema. */
const MISSING = new Set([40_401, 40_402, 40_403])
/** A subject without a level of its own (Confluent's registry). */
const NO_LEVEL = 40_408

interface Call {
  readonly method: 'GET' | 'POST' | 'PUT'
  readonly path: string
  readonly body?: unknown
}

/**
 * Confluent's Schema Registry, or one with its API, over HTTP. Follows no redirects. A call that gets no answer, a 5xx or a
 * 429 is tried again, with growing pauses; none of the calls does anything twice. Throws ONCEWARD_E_SETTING_INVALID for a URL that cannot
 * be used.
 */
export function httpRegistry(options: HttpRegistryOptions): SchemaRegistry {
  const calls = new Calls(options)
  const versionsPath = (subject: string): string => `/subjects/${encodeURIComponent(subject)}/versions`
  const find = async (subject: string, schema: string): Promise<SubjectVersion | undefined> => {
    const call: Call = { method: 'POST', path: `/subjects/${encodeURIComponent(subject)}`, body: { schema } }
    const found = await calls.find(call)
    return found && subjectVersionOf(found)
  }
  const check = async (subject: string, schema: string): Promise<RegistryVerdict> => {
    const path = `/compatibility${versionsPath(subject)}?verbose=true`
    const found = await calls.find({ method: 'POST', path, body: { schema } })
    // Nothing is there that it could break.
    if (found === undefined) return { compatible: true, messages: [] }
    const { is_compatible: compatible, messages, reason } = objectOf(found)
    if (typeof compatible !== 'boolean') throw refused(found, 'does not say whether the schema is compatible')
    const said = [...(Array.isArray(messages) ? (messages as unknown[]) : []), reason]
    return { compatible, messages: said.filter((each) => typeof each === 'string') }
  }
  return {
    async schema(id): Promise<RegisteredSchema | undefined> {
      const found = await calls.find({ method: 'GET', path: `/schemas/ids/${id}` })
      return found && schemaOf(found)
    },
    async subjects() {
      return listOf(await calls.ask({ method: 'GET', path: '/subjects' }), textOf).toSorted()
    },
    async versions(subject) {
      const found = await calls.find({ method: 'GET', path: versionsPath(subject) })
      return found === undefined ? [] : listOf(found, wholeOf).toSorted((a, b) => a - b)
    },
    async version(subject, version) {
      const found = await calls.find({ method: 'GET', path: `${versionsPath(subject)}/${version}` })
      return found && subjectVersionOf(found)
    },
    find,
    async register(subject, schema) {
      for (let tries = 1; ; tries++) {
        try {
          const answer = await calls.ask({ method: 'POST', path: versionsPath(subject), body: { schema } })
          const version = await find(subject, schema)
          if (version !== undefined) return version
          const { id } = objectOf(answer)
          throw refused(answer, `has registered schema ${wholeOf(answer, id)} and does not find it under ${subject}`)
        } catch (error) {
          if (!hasCode(error, 'ONCEWARD_E_SCHEMA_INCOMPATIBLE')) throw error
          // Registries say the same of two who make the same subject or version at once.
          const version = await find(subject, schema)
          if (version !== undefined) return version
          if (tries === CONFLICTS_MAX || !(await check(subject, schema)).compatible) throw error
        }
      }
    },
    check,
    async compatibility(subject) {
      const found = await calls.find({ method: 'GET', path: `/config/${encodeURIComponent(subject)}` })
      if (found === undefined) return undefined
      return textOf(found, objectOf(found)['compatibilityLevel']) as CompatibilityLevel
    },
    async setCompatibility(subject, compatibility) {
      await calls.ask({ method: 'PUT', path: `/config/${encodeURIComponent(subject)}`, body: { compatibility } })
    },
    close: () => calls.close(),
  }
}

class Calls {
  readonly #pool: Pool
  readonly #base: URL
  readonly #options: HttpRegistryOptions
  readonly #closed = new AbortController()

  constructor(options: HttpRegistryOptions) {
    const { ca, timeoutMs = TIMEOUT_MS } = options
    this.#options = options
    this.#base = baseUrl(options.url)
    this.#pool = new Pool(this.#base.origin, {
      connections: CONNECTIONS,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: ANSWER_BYTES_MAX,
      connect: { timeout: timeoutMs, ...(ca === undefined ? {} : { ca }) },
    })
  }

  /** undefined where the registry says that there is no such thing. */
  async find(call: Call): Promise<Answer | undefined> {
    const answer = await this.#answer(call)
    const code = errorCode(answer)
    if (answer.status === 404 && code !== undefined && (MISSING.has(code) || code === NO_LEVEL)) return undefined
    return checked(answer)
  }

  async ask(call: Call): Promise<Answer> {
    return checked(await this.#answer(call))
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#pool.destroy()
  }

  async #answer(call: Call): Promise<Answer> {
    const { clock, retriesMax = RETRIES_MAX } = this.#options
    for (let tries = 0; ; tries++) {
      const answer = await this.#try(call)
      if (typeof answer !== 'string') return answer
      if (tries >= retriesMax || this.#closed.signal.aborted) {
        throw new OncewardError(
          'ONCEWARD_E_REGISTRY_UNAVAILABLE',
          `the schema registry at ${this.#base.origin} cannot be asked (tried ${tries + 1} times): ${answer}`,
        )
      }
      await clock.sleep(Math.min(BACKOFF_MS.most, BACKOFF_MS.first * 2 ** tries), this.#closed.signal)
    }
  }

  /** The answer, or why there was none that counts. */
  async #try({ method, path, body }: Call): Promise<Answer | string> {
    const { user } = this.#options
    const where = `${method} ${this.#base.pathname.replace(/\/$/, '')}${path}`
    try {
      const response = await this.#pool.request({
        method,
        path: this.#base.pathname.replace(/\/$/, '') + path,
        headers: {
          accept: `${MEDIA_TYPE}, application/json`,
          ...(body === undefined ? {} : { 'content-type': MEDIA_TYPE }),
          ...(user === undefined ? {} : { authorization: basic(user) }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      const text = await response.body.text()
      const { statusCode: status } = response
      if (status >= 500 || status === 429) return `${where} was answered with ${status}`
      return { where, status, json: parsed(text) }
    } catch (error) {
      return `${where}: ${reasonOf(error)}`
    }
  }
}

function checked(answer: Answer): Answer {
  const { status } = answer
  if (status >= 200 && status < 300) {
    if (answer.json === undefined) throw refused(answer, 'answers with something that is not JSON')
    return answer
  }
  const said = messageIn(answer)
  if (status === 409) {
    throw new OncewardError('ONCEWARD_E_SCHEMA_INCOMPATIBLE', `the schema registry refuses the schema: ${said}`)
  }
  if (status === 401 || status === 403) {
    throw refused(
      answer,
      `answers with ${status}; check --registry-user and --registry-password-file, and what that user may do`,
    )
  }
  if (status === 404) throw refused(answer, `answers with 404; check the path of --registry: ${said}`)
  throw refused(answer, `answers with ${status}: ${said}`)
}

function errorCode({ json }: Answer): number | undefined {
  const code = typeof json === 'object' && json !== null && 'error_code' in json ? json.error_code : undefined
  return typeof code === 'number' ? code : undefined
}

const SAID_LENGTH_MAX = 500

function messageIn({ json }: Answer): string {
  const message = typeof json === 'object' && json !== null && 'message' in json ? json.message : undefined
  return typeof message === 'string' && message !== '' ? message.slice(0, SAID_LENGTH_MAX) : 'it does not say why'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function basic({ name, password }: { readonly name: string; readonly password: string }): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`
}

/** Where every address of a host refuses, Node's message is empty and the reasons are inside. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}

function baseUrl(text: string): URL {
  const problem = (what: string): OncewardError =>
    new OncewardError('ONCEWARD_E_SETTING_INVALID', `--registry: ${what}`)
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw problem('it is not the URL of a schema registry; write one such as https://registry.example:8081')
  }
  if (url.username !== '' || url.password !== '') {
    throw problem(
      'it holds a user name or a password, which would stand in logs; give them with --registry-user and --registry-password-file',
    )
  }
  if (url.search !== '' || url.hash !== '') throw problem('it has a query or a fragment; leave it out')
  return url
}
