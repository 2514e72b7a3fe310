import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAst } from 'vite'

/** A node of the syntax tree (ESTree with TypeScript), as far as the lints look at it. */
export interface SyntaxNode {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

export interface SourceFile {
  /** From the project's folder, with forward slashes. */
  readonly path: string
  readonly text: string
}

export interface Finding {
  readonly path: string
  readonly line: number
  /** What is wrong, and what to do instead. */
  readonly message: string
}

export const PROJECT = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The folders whose files are ours. */
export const FOLDERS = [
  'core',
  'pipeline',
  'operators',
  'state',
  'rules',
  'connectors',
  'cli',
  'console',
  'sdk',
  'schemas',
  'examples',
  'deploy',
  'docs',
  'test',
]

const TEXT = /\.(ts|mjs|js|sql|md|ya?ml|json|avsc|html|css|sh)$|^(Dockerfile|README\.md)$/

/** Every text file of the project, in order of path. */
export function projectFiles(): readonly SourceFile[] {
  const top = readdirSync(PROJECT, { withFileTypes: true })
    .filter((entry) => entry.isFile() && TEXT.test(entry.name) && entry.name !== 'package-lock.json')
    .map((entry) => entry.name)
  const inner = FOLDERS.flatMap((folder) => walk(join(PROJECT, folder)))
  return [...top, ...inner].toSorted().map((path) => ({ path, text: readFileSync(join(PROJECT, path), 'utf8') }))
}

function walk(folder: string): string[] {
  let entries
  try {
    entries = readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : walk(path)
    return TEXT.test(entry.name) ? [relative(PROJECT, path).replaceAll('\\', '/')] : []
  })
}

export function isCode(file: SourceFile): boolean {
  return file.path.endsWith('.ts') && !file.path.endsWith('.d.ts')
}

export function isTest(file: SourceFile): boolean {
  return file.path.startsWith('test/')
}

/** The folder at the top: `core`, `connectors`, …; empty for files at the root. */
export function folderOf(path: string): string {
  return path.includes('/') ? (path.split('/')[0] ?? '') : ''
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

const trees = new WeakMap<SourceFile, SyntaxNode>()

export function treeOf(file: SourceFile): SyntaxNode {
  let tree = trees.get(file)
  if (tree === undefined) {
    tree = parseAst(file.text, { lang: 'ts' }) as unknown as SyntaxNode
    trees.set(file, tree)
  }
  return tree
}

/** Calls `visit` for every node, parents first. */
export function visitNodes(node: SyntaxNode, visit: (node: SyntaxNode) => void): void {
  visit(node)
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) visitNodes(child, visit)
    }
  }
}

export function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
}

export interface Import {
  readonly specifier: string
  readonly line: number
  /** The path within the project that a relative specifier means. */
  readonly target: string | undefined
}

const IMPORTING = new Set([
  'ImportDeclaration',
  'ExportNamedDeclaration',
  'ExportAllDeclaration',
  'ImportExpression',
  'TSImportType',
])

/** Every module that the file names: imports, re-exports, dynamic imports, types only as well. */
export function importsOf(file: SourceFile): readonly Import[] {
  const found: Import[] = []
  visitNodes(treeOf(file), (node) => {
    const { source } = node
    if (!IMPORTING.has(node.type) || !isNode(source) || typeof source.value !== 'string') return
    const specifier = source.value
    const target = specifier.startsWith('.') ? posix.join(posix.dirname(file.path), specifier) : undefined
    found.push({ specifier, line: lineAt(file.text, node.start), target })
  })
  return found
}
