import { command } from '../command.ts'
import { json } from '../settings/office.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import { prefix, schemas } from '../settings/shared.ts'

const against = setting('against', {
  type: 'text',
  placeholder: 'DIR',
  help: 'folder with older schemas to compare with, in the place of a schema registry',
})

export const schemasCheck = command({
  name: 'schemas check',
  group: 'On Kafka',
  summary: 'say whether events of older schema versions can still be read',
  description: `
    Compares the schemas of this build and of --schemas with every version in the schema registry, or with another folder of
    schemas. Each change that would leave older events unreadable is named with file and field, what is wrong and what would
    be right: a new field without a default, a narrower type, a field renamed without an alias, a symbol of an enum removed.

    Exits with 1 where there is one. Within a major version nothing incompatible is allowed; a new major is a schema of its
    own, beside the old one.`,
  examples: [
    { line: 'onceward schemas check --registry http://localhost:8081 --schemas schemas', says: 'before a release' },
    {
      line: 'onceward schemas check --schemas schemas --against last-release/schemas',
      says: 'without a registry, in a pipeline',
    },
  ],
  settings: [schemas, against, prefix, json, ...REGISTRY],
  async run(context) {
    const { checkSchemas } = await import('../schemas/check.ts')
    return checkSchemas(context)
  },
})
