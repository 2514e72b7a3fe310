// Builds the SDK into a folder (dist/sdk, or what --out names): modules and types as they are written, for bundlers and Node, and
// for script tags one file each: onceward.min.js (a module) and onceward.iife.min.js (the global Onceward). Prints what
// the browser loads.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { gzipSync } from 'node:zlib'
import { build } from 'vite'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { values } = parseArgs({ options: { out: { type: 'string', default: join(root, 'dist', 'sdk') } } })
const out = resolve(values.out)

const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')
execFileSync(process.execPath, [tsc, '-p', join(root, 'sdk'), '--outDir', out], { stdio: 'inherit', cwd: root })

const bundles = [
  { format: 'es', file: 'onceward.min.js' },
  { format: 'iife', file: 'onceward.iife.min.js' },
]
for (const { format, file } of bundles) {
  await build({
    configFile: false,
    root: join(root, 'sdk'),
    logLevel: 'warn',
    build: {
      target: 'es2022',
      outDir: out,
      emptyOutDir: false,
      // Not the library mode, which leaves modules unminified.
      modulePreload: false,
      rolldownOptions: {
        input: join(root, 'sdk', 'index.ts'),
        preserveEntrySignatures: 'strict',
        output: { format, name: 'Onceward', entryFileNames: file },
      },
    },
  })
  const bytes = readFileSync(join(out, file))
  process.stdout.write(`${file}: ${bytes.length} bytes, gzipped ${gzipSync(bytes, { level: 9 }).length}\n`)
}
