import { isMap, isScalar, isSeq, LineCounter, type Pair, parseDocument, type YAMLMap } from 'yaml'
import type { Written } from './kinds.ts'
import { suggestion } from './nearest.ts'
import type { Configurable, Given, Problem, SourceReading } from './sources.ts'

/** The key under which a command's own settings stand: `topics create` is `topics-create`. */
export function sectionOf(command: Configurable): string {
  return command.name.replaceAll(' ', '-')
}

/**
 * Reads a YAML file: settings at the top count for every command that has them, a section named after a command for
 * that one alone, and before the top. Keys that no command knows are problems, with file:line:column.
 */
export function readConfigFile(
  path: string,
  text: string,
  command: Configurable,
  all: readonly Configurable[],
): SourceReading {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false })
  const at = (offset: number): string => {
    const { line, col } = lines.linePos(offset)
    return `${path}:${line}:${col}`
  }
  const [error] = document.errors
  if (error !== undefined) return invalid(`${at(error.pos[0])}: this is no YAML: ${error.message}`)
  if (document.contents === null) return { given: new Map(), problems: [] }
  if (!isMap(document.contents)) {
    return invalid(`${path}:1:1: the file must be a list of settings, one "name: value" a line`)
  }
  return new ConfigReader(at, command, all).read(document.contents)
}

function invalid(message: string): SourceReading {
  return { given: new Map(), problems: [{ code: 'ONCEWARD_E_SETTING_INVALID', message }] }
}

class ConfigReader {
  private readonly at: (offset: number) => string
  private readonly command: Configurable
  private readonly sections: ReadonlyMap<string, Configurable>
  private readonly everySetting: ReadonlySet<string>
  private readonly given = new Map<string, Given>()
  private readonly problems: Problem[] = []

  constructor(at: (offset: number) => string, command: Configurable, all: readonly Configurable[]) {
    this.at = at
    this.command = command
    this.sections = new Map(all.map((other) => [sectionOf(other), other]))
    this.everySetting = new Set(all.flatMap((other) => other.settings.map(({ name }) => name)))
  }

  read(top: YAMLMap): SourceReading {
    const sections: [Configurable, Pair][] = []
    const own = new Set(this.command.settings.map(({ name }) => name))
    for (const pair of top.items) {
      const { name, place } = this.key(pair)
      const section = this.sections.get(name)
      if (section !== undefined) sections.push([section, pair])
      else if (own.has(name)) this.take(pair, name, place)
      else if (!this.everySetting.has(name)) this.unknown(name, place, [...this.everySetting, ...this.sections.keys()])
    }
    // After the top, so that a section has the last word.
    for (const [section, pair] of sections) this.section(section, pair)
    return { given: this.given, problems: this.problems }
  }

  private section(section: Configurable, pair: Pair): void {
    const { name, place } = this.key(pair)
    if (isScalar(pair.value) && pair.value.value === null) return
    if (!isMap(pair.value)) {
      this.problems.push({
        code: 'ONCEWARD_E_SETTING_INVALID',
        message: `${place}: ${name} is the section of onceward ${section.name}; write its settings below it, indented`,
      })
      return
    }
    const names = section.settings.map((setting) => setting.name)
    for (const inner of pair.value.items) {
      const key = this.key(inner)
      if (!names.includes(key.name)) this.unknown(key.name, key.place, names, section)
      else if (section.name === this.command.name) this.take(inner, key.name, key.place)
    }
  }

  private key(pair: Pair): { name: string; place: string } {
    const offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0
    return { name: isScalar(pair.key) ? String(pair.key.value) : '(a key that is no text)', place: this.at(offset) }
  }

  private take(pair: Pair, name: string, place: string): void {
    const written = writtenOf(pair.value)
    const offset = isScalar(pair.value) || isSeq(pair.value) ? pair.value.range?.[0] : undefined
    const where = `${offset === undefined ? place : this.at(offset)}: ${name}`
    if (written !== undefined) this.given.set(name, { written, place: where })
    else {
      this.problems.push({
        code: 'ONCEWARD_E_SETTING_INVALID',
        message: `${where} must be one value, or a list of values where the setting takes several`,
        setting: name,
      })
    }
  }

  private unknown(name: string, place: string, names: Iterable<string>, section?: Configurable): void {
    this.problems.push({
      code: 'ONCEWARD_E_SETTING_UNKNOWN',
      message: `${place}: ${name} is no setting of ${section === undefined ? 'Onceward' : `onceward ${section.name}`}${suggestion(name, names)}`,
    })
  }
}

/** A scalar as its text in the file, so that `1.0` stays `1.0`; undefined for anything that is no scalar or list of scalars. */
function writtenOf(node: unknown): Written | undefined {
  if (isScalar(node)) return node.value === null ? '' : (node.source ?? JSON.stringify(node.value))
  if (!isSeq(node)) return undefined
  const items = node.items.map(writtenOf)
  return items.every((item) => typeof item === 'string') ? items : undefined
}
