/** A process that registers twelve schemas under one subject, beginning somewhere; others do the same at once. */
import { readProblems } from '../../cli/schemas/registry.ts'
import { openEmbeddedRegistry } from '../../connectors/registry/embedded-registry.ts'

const [dir = '', offset = '0'] = process.argv.slice(2)
const registry = await openEmbeddedRegistry({ dir, problems: readProblems, missing: 'make' })
for (let i = 0; i < 12; i++) {
  const n = ((i + Number(offset) * 4) % 12) + 1
  const fields = Array.from({ length: n }, (_, f) => ({ name: `f${f}`, type: 'int', default: 0 }))
  await registry.register('s', JSON.stringify({ type: 'record', name: 'acme.thing', fields }))
}
await registry.close()
