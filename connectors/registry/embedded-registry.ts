import { randomUUID } from 'node:crypto'
import { link, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, OncewardError } from '../../core/errors.ts'
import {
  COMPATIBILITY_LEVELS,
  type CompatibilityLevel,
  type RegistryVerdict,
  type SchemaRegistry,
  type SubjectVersion,
} from '../../core/ports/registry.ts'

/** Why `newer` cannot read what `older` wrote, both JSON texts: sentences; none where it can. Throws for what is no schema. */
export type ReadProblems = (newer: string, older: string) => readonly string[]

export interface EmbeddedRegistryOptions {
  readonly dir: string
  readonly problems: ReadProblems
  /** Where there is no folder; default: that is an error, for a mistyped path would be an empty registry. */
  readonly missing?: 'refuse' | 'empty' | 'make'
}

/** What a new version has to be able to read where a subject has no level of its own. */
const LEVEL_DEFAULT = 'BACKWARD_TRANSITIVE'
/** File systems take 255 bytes. */
const NAME_LENGTH_MAX = 200

interface VersionFile {
  readonly id: number
}

/**
 * A registry in a folder, which any number of processes may use at once, on one machine or on a shared file system that has
 * hard links:
 *
 *   ids/<id>.json                    the schema with this id
 *   subjects/<subject>/<version>.json   which id a version is
 *   levels/<subject>.json            the subject's compatibility
 *
 * E1  a file of ids/ and subjects/ is written whole, comes into being under its name in one step that fails where the name
 *     is taken (a hard link), and is never written again: whoever sees it sees all of it, and two cannot both have made it
 * E2  ids and versions are taken in order, each only after all before it were read: so the same schema gets one id
 */
export async function openEmbeddedRegistry(options: EmbeddedRegistryOptions): Promise<SchemaRegistry> {
  const { dir, problems, missing = 'refuse' } = options
  const folder = new Folder(dir)
  if (missing === 'make') await folder.make('ids', 'subjects', 'levels')
  else if (missing === 'refuse') await folder.mustExist('ids')
  const registry = new EmbeddedRegistry(folder, problems)
  return {
    schema: (id) => registry.schema(id),
    subjects: () => registry.subjects(),
    versions: (subject) => registry.versions(subject),
    version: (subject, version) => registry.version(subject, version),
    find: (subject, schema) => registry.find(subject, schema),
    register: (subject, schema) => registry.register(subject, schema),
    check: (subject, schema) => registry.check(subject, schema),
    compatibility: (subject) => registry.compatibility(subject),
    setCompatibility: (subject, level) => registry.setCompatibility(subject, level),
    close: () => Promise.resolve(),
  }
}

class EmbeddedRegistry {
  readonly #folder: Folder
  readonly #problems: ReadProblems

  constructor(folder: Folder, problems: ReadProblems) {
    this.#folder = folder
    this.#problems = problems
  }

  async schema(id: number): Promise<{ readonly schema: string } | undefined> {
    const schema = await this.#folder.read('ids', `${id}.json`)
    return schema === undefined ? undefined : { schema }
  }

  async subjects(): Promise<readonly string[]> {
    const names = await this.#folder.list('subjects')
    const subjects = names.map((name) => decodeURIComponent(name)).toSorted()
    const counted = await Promise.all(
      subjects.map(async (subject) => ({ subject, versions: await this.versions(subject) })),
    )
    // A folder that was made for a version that was then refused is no subject.
    return counted.flatMap(({ subject, versions }) => (versions.length === 0 ? [] : [subject]))
  }

  async versions(subject: string): Promise<readonly number[]> {
    return numbersOf(await this.#folder.list('subjects', nameOf(subject)))
  }

  async version(subject: string, version: number | 'latest'): Promise<SubjectVersion | undefined> {
    const number = version === 'latest' ? (await this.versions(subject)).at(-1) : version
    if (number === undefined) return undefined
    const text = await this.#folder.read('subjects', nameOf(subject), `${number}.json`)
    if (text === undefined) return undefined
    const { id } = parsed(text, subject) as VersionFile
    const found = await this.schema(id)
    if (found === undefined) throw broken(`${subject} version ${number} names schema ${id}, which is not there`)
    return { subject, version: number, id, schema: found.schema }
  }

  async find(subject: string, schema: string): Promise<SubjectVersion | undefined> {
    const wanted = canonical(schema)
    return (await this.#all(subject)).find((each) => canonical(each.schema) === wanted)
  }

  async check(subject: string, schema: string): Promise<RegistryVerdict> {
    const messages = await this.#against(await this.#all(subject), subject, schema)
    return { compatible: messages.length === 0, messages }
  }

  async register(subject: string, schema: string): Promise<SubjectVersion> {
    const text = canonical(schema)
    // Also where there is nothing to compare with: what is no Avro schema is no version.
    this.#tried(text, text)
    await this.#folder.make('ids', join('subjects', nameOf(subject)))
    for (;;) {
      const known = await this.#all(subject)
      const same = known.find((each) => canonical(each.schema) === text)
      if (same !== undefined) return same
      const messages = await this.#against(known, subject, text)
      if (messages.length > 0) {
        throw new OncewardError('ONCEWARD_E_SCHEMA_INCOMPATIBLE', `${subject}: ${messages.join('; ')}`)
      }
      const id = await this.#idOf(text)
      const version = (known.at(-1)?.version ?? 0) + 1
      const made = await this.#folder.create(JSON.stringify({ id }), 'subjects', nameOf(subject), `${version}.json`)
      if (made) return { subject, version, id, schema: text }
      // Somebody else has made this version meanwhile: look at it first.
    }
  }

  async compatibility(subject: string): Promise<CompatibilityLevel | undefined> {
    const text = await this.#folder.read('levels', `${nameOf(subject)}.json`)
    if (text === undefined) return undefined
    const { level } = parsed(text, subject) as { readonly level: CompatibilityLevel }
    return level
  }

  async setCompatibility(subject: string, level: CompatibilityLevel): Promise<void> {
    if (!COMPATIBILITY_LEVELS.some((known) => known === level)) {
      throw refusal(
        `the level ${level} is not one of ${COMPATIBILITY_LEVELS.join(', ')}, which a registry in a folder holds`,
      )
    }
    await this.#folder.make('levels')
    await this.#folder.replace(JSON.stringify({ level }), 'levels', `${nameOf(subject)}.json`)
  }

  async #all(subject: string): Promise<readonly SubjectVersion[]> {
    const versions = await this.versions(subject)
    const found = await Promise.all(versions.map((version) => this.version(subject, version)))
    return found.filter((each) => each !== undefined)
  }

  async #against(known: readonly SubjectVersion[], subject: string, schema: string): Promise<readonly string[]> {
    const level = (await this.compatibility(subject)) ?? LEVEL_DEFAULT
    if (level === 'NONE') return []
    const older = level === 'BACKWARD' ? known.slice(-1) : known
    return older.flatMap((each) =>
      this.#tried(schema, each.schema).map((problem) => `version ${each.version}: ${problem}`),
    )
  }

  /** The id of a schema, which is given one where it has none. */
  async #idOf(text: string): Promise<number> {
    for (let id = 1; ; id++) {
      const known = await this.#folder.read('ids', `${id}.json`)
      if (known === undefined) {
        if (await this.#folder.create(text, 'ids', `${id}.json`)) return id
        // Taken meanwhile: it may hold this very schema.
        id--
      } else if (canonical(known) === text) return id
    }
  }

  #tried(newer: string, older: string): readonly string[] {
    try {
      return this.#problems(newer, older)
    } catch (error) {
      throw refusal(`this is no Avro schema: ${messageOf(error)}`)
    }
  }
}

/** The files, each made in one step. */
class Folder {
  readonly #dir: string

  constructor(dir: string) {
    this.#dir = dir
  }

  async make(...folders: readonly string[]): Promise<void> {
    for (const each of folders) await mkdir(join(this.#dir, each), { recursive: true }).catch(this.#trouble('written'))
  }

  async mustExist(folder: string): Promise<void> {
    try {
      await readdir(join(this.#dir, folder))
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') return this.#trouble('read')(error)
      const problem = `--registry-dir: there is no schema registry in ${this.#dir}; onceward schemas register makes one`
      throw new OncewardError('ONCEWARD_E_FILE_UNREADABLE', problem, { cause: error })
    }
  }

  async read(...path: readonly string[]): Promise<string | undefined> {
    try {
      return await readFile(join(this.#dir, ...path), 'utf8')
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      return this.#trouble('read')(error)
    }
  }

  /** Without what is being written. */
  async list(...path: readonly string[]): Promise<readonly string[]> {
    try {
      return (await readdir(join(this.#dir, ...path))).filter((name) => !name.startsWith('.'))
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return []
      return this.#trouble('read')(error)
    }
  }

  /** False where there is a file of that name (E1). */
  async create(text: string, ...path: readonly string[]): Promise<boolean> {
    const target = join(this.#dir, ...path)
    const draft = await this.#draft(text, target)
    try {
      await link(draft, target)
      await syncFolder(join(target, '..'))
      return true
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      return this.#trouble('written')(error)
    } finally {
      await rm(draft, { force: true })
    }
  }

  async replace(text: string, ...path: readonly string[]): Promise<void> {
    const target = join(this.#dir, ...path)
    await rename(await this.#draft(text, target), target).catch(this.#trouble('written'))
  }

  async #draft(text: string, target: string): Promise<string> {
    const draft = join(target, '..', `.${randomUUID()}`)
    try {
      const file = await open(draft, 'wx')
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
      return draft
    } catch (error) {
      return this.#trouble('written')(error)
    }
  }

  #trouble(what: 'read' | 'written'): (error: unknown) => never {
    return (error) => {
      const code = what === 'read' ? 'ONCEWARD_E_FILE_UNREADABLE' : 'ONCEWARD_E_FILE_UNWRITABLE'
      throw new OncewardError(code, `the schema registry in ${this.#dir} cannot be ${what}: ${messageOf(error)}`, {
        cause: error,
      })
    }
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function numbersOf(names: readonly string[]): readonly number[] {
  return names
    .flatMap((name) => Number(/^([1-9]\d*)\.json$/.exec(name)?.[1] ?? Number.NaN) || [])
    .toSorted((a, b) => a - b)
}

/** The name of a subject's folder. */
function nameOf(subject: string): string {
  const name = encodeURIComponent(subject).replaceAll('*', '%2A').replace(/^\./, '%2E')
  if (name !== '' && name.length <= NAME_LENGTH_MAX) return name
  throw refusal(
    `a subject's name has 1 to ${NAME_LENGTH_MAX} characters once escaped; "${subject.slice(0, 60)}" has ${name.length}`,
  )
}

/** Spaces mean nothing. */
function canonical(schema: string): string {
  return JSON.stringify(parsed(schema, 'the schema'))
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw refusal(`${what} is not JSON: ${messageOf(error)}`)
  }
}

function broken(problem: string): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_REGISTRY_REFUSED',
    `the folder of the schema registry is damaged: ${problem}; restore it`,
  )
}

function refusal(problem: string): OncewardError {
  return new OncewardError('ONCEWARD_E_REGISTRY_REFUSED', problem)
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
