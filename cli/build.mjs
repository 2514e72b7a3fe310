// Builds dist/: TypeScript to ESM, the assets that are read at run time beside it, and the executable bit of the binary.
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const dist = join(root, 'dist')
const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

rmSync(dist, { recursive: true, force: true })
execFileSync(process.execPath, [tsc, '-p', join(root, 'tsconfig.build.json')], { stdio: 'inherit', cwd: root })

const assets = /\.(sql|avsc|json|yaml|html|css)$/
const folders = ['core', 'pipeline', 'operators', 'state', 'rules', 'connectors', 'cli', 'schemas', 'examples']
const copy = (folder) => {
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) copy(path)
    else if (assets.test(entry.name) || folder.startsWith('examples')) cpSync(join(root, path), join(dist, path))
  }
}
for (const folder of folders) if (existsSync(join(root, folder))) copy(folder)

// Not there where the image is built, which has no use for it.
const sdk = join(root, 'sdk', 'build.mjs')
if (existsSync(sdk)) execFileSync(process.execPath, [sdk], { stdio: 'inherit', cwd: root })

const binary = join(dist, 'cli', 'main.js')
if (existsSync(binary)) chmodSync(binary, 0o755)
