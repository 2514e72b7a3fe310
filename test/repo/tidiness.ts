import {
  type Finding,
  folderOf,
  isCode,
  isNode,
  isTest,
  lineAt,
  type SourceFile,
  type SyntaxNode,
  treeOf,
  visitNodes,
} from './source-files.ts'

export const FILE_LINES_MAX = 400
export const FUNCTION_LINES_MAX = 70
export const PARAMETERS_MAX = 4

/** Files and functions that have grown too long to be read in one go. */
export function sizeFindings(file: SourceFile): readonly Finding[] {
  if (!isCode(file)) return []
  const findings: Finding[] = []
  const lines = file.text.trimEnd().split('\n').length
  if (lines > FILE_LINES_MAX) {
    const message = `the file has ${lines} lines, at most ${FILE_LINES_MAX} are allowed; split it by what it is about`
    findings.push({ path: file.path, line: 1, message })
  }
  visitNodes(treeOf(file), (node) => {
    if (isFunction(node)) findings.push(...functionFindings(file, node))
  })
  return findings
}

function functionFindings(file: SourceFile, node: SyntaxNode): Finding[] {
  const line = lineAt(file.text, node.start)
  const length = lineAt(file.text, node.end) - line + 1
  const findings: Finding[] = []
  if (length > FUNCTION_LINES_MAX && !isSuite(file, node)) {
    const message = `the function has ${length} lines, at most ${FUNCTION_LINES_MAX} are allowed; name its steps and move them out`
    findings.push({ path: file.path, line, message })
  }
  const parameters = Array.isArray(node.params) ? node.params.length : 0
  if (parameters > PARAMETERS_MAX) {
    const message = `the function has ${parameters} positional parameters, at most ${PARAMETERS_MAX} are allowed; pass an object`
    findings.push({ path: file.path, line, message })
  }
  return findings
}

function isFunction(node: SyntaxNode): boolean {
  return ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'].includes(node.type)
}

/** A function that holds tests is a table of contents: its length is the sum of what it lists. */
function isSuite(file: SourceFile, node: SyntaxNode): boolean {
  if (!isTest(file)) return false
  let suite = false
  visitNodes(node, (inner) => {
    if (inner.type !== 'CallExpression' || !isNode(inner.callee)) return
    if (/^(describe|it|test)\b/.test(file.text.slice(inner.callee.start, inner.callee.end))) suite = true
  })
  return suite
}

/** The command line, and what lies at the root: the configuration of tools. */
const AMBIENT_FOLDERS = new Set(['cli', ''])
/** The SDK imports nothing of ours, so it has a file of its own. */
const CLOCK_FILES = new Set(['core/clock.ts', 'core/random.ts', 'sdk/environment.ts'])

const AMBIENT: Readonly<Record<string, string>> = {
  'Date.now': 'take a Clock (core/clock.ts) as a parameter',
  'performance.now': 'take a Clock (core/clock.ts) as a parameter',
  'process.hrtime': 'take a Clock (core/clock.ts) as a parameter',
  'Math.random': 'take a Random (core/random.ts) as a parameter',
  'process.env': 'make it a setting of the command line and take it as a parameter',
  'AbortSignal.timeout': 'take a Clock (core/clock.ts) and abort after its sleep',
  setTimeout: 'take a Clock (core/clock.ts) and use its sleep',
  setInterval: 'take a Clock (core/clock.ts) and loop over its sleep',
}

/** Time, chance and environment read from thin air, where a simulation could not own them. */
export function ambientFindings(file: SourceFile): readonly Finding[] {
  if (!isCode(file) || isTest(file) || AMBIENT_FOLDERS.has(folderOf(file.path)) || CLOCK_FILES.has(file.path)) return []
  const findings: Finding[] = []
  const report = (node: SyntaxNode, what: string, instead: string): void => {
    findings.push({ path: file.path, line: lineAt(file.text, node.start), message: `${what} is used here; ${instead}` })
  }
  visitNodes(treeOf(file), (node) => {
    const name = ambientName(file, node)
    const instead = name === undefined ? undefined : AMBIENT[name]
    if (name !== undefined && instead !== undefined) report(node, name, instead)
    if (node.type === 'NewExpression' && isNamed(node.callee, 'Date') && (node.arguments as unknown[]).length === 0) {
      report(node, 'new Date()', 'take a Clock (core/clock.ts) as a parameter')
    }
    if (importsTimers(node)) report(node, 'node:timers', 'take a Clock (core/clock.ts) as a parameter')
  })
  return findings
}

/** `setImmediate` alone gives way to others and measures nothing. */
function importsTimers(node: SyntaxNode): boolean {
  if (node.type !== 'ImportDeclaration' || !isNode(node.source) || !Array.isArray(node.specifiers)) return false
  if (!/^(node:)?timers/.test(String(node.source.value))) return false
  return !node.specifiers.every((one) => isNode(one) && isNamed(one.imported, 'setImmediate'))
}

function ambientName(file: SourceFile, node: SyntaxNode): string | undefined {
  if (node.type === 'MemberExpression') return file.text.slice(node.start, node.end).replaceAll(/\s/g, '')
  return node.type === 'CallExpression' && isNode(node.callee) && node.callee.type === 'Identifier'
    ? String(node.callee.name)
    : undefined
}

function isNamed(node: unknown, name: string): boolean {
  return isNode(node) && node.type === 'Identifier' && node.name === name
}

/** Left-overs, written in pieces so that this file does not find itself. */
const LEFTOVERS: readonly (readonly [RegExp, string])[] = [
  [/\b(TO_?DO|FIX_?ME|XX_?X)\b/.source, 'do it now, or write an issue'],
  [/\b(describe|it|test)\.on_?ly\(/.source, 'take it out, or the other tests do not run'],
  [/@ts-(ig_?nore|nochec_?k|expect-err_?or)/.source, 'make the types say it'],
  [/(es|ox)lint-dis_?able|biome-ig_?nore/.source, 'restructure the code so that the rule holds'],
  [/(^|[\s"'`(=])\/(home|ro_?ot|Users|wo_?rk)\/\w/.source, 'a path of one machine; make it relative, or a setting'],
].map(([source = '', instead = '']) => [new RegExp(source.replaceAll('_?', '')), instead])

export function leftoverFindings(file: SourceFile): readonly Finding[] {
  return file.text.split('\n').flatMap((text, index) =>
    LEFTOVERS.flatMap(([pattern, instead]) => {
      const found = pattern.exec(text)?.[0].trim()
      return found === undefined
        ? []
        : [{ path: file.path, line: index + 1, message: `"${found}" is left here; ${instead}` }]
    }),
  )
}

const CASUAL_FOLDERS = new Set(['utils', 'util', 'helpers', 'misc', 'common', 'lib'])

/** Names of files and folders, and exports without a name. */
export function namingFindings(file: SourceFile): readonly Finding[] {
  if (!isCode(file)) return []
  const findings: Finding[] = []
  const add = (message: string): void => void findings.push({ path: file.path, line: 1, message })
  const parts = file.path.split('/')
  const casual = parts.slice(0, -1).find((folder) => CASUAL_FOLDERS.has(folder))
  if (casual !== undefined) add(`the folder ${casual}/ says nothing; name it after what its files are about`)
  const name = parts.at(-1) ?? ''
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test|\.config)?\.ts$/.test(name)) add(`${name} is not in kebab-case; rename it`)
  const isConfig = name.endsWith('.config.ts')
  if (!isConfig && /^export default\b/m.test(file.text)) add('it has a default export; give the export a name')
  return findings
}
