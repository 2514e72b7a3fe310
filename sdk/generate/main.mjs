// Writes sdk/events.ts from schemas/. Run it with `npm run generate:sdk`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { renderEvents } from './schema-types.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const schemas = readdirSync(join(root, 'schemas'))
  .filter((name) => name.endsWith('.avsc'))
  .map((name) => ({ name, text: readFileSync(join(root, 'schemas', name), 'utf8') }))
writeFileSync(join(root, 'sdk', 'events.ts'), renderEvents(schemas))
