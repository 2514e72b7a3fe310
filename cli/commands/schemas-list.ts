import { command } from '../command.ts'
import { json } from '../settings/office.ts'
import { REGISTRY } from '../settings/registry.ts'
import { prefix, schemas } from '../settings/shared.ts'

export const schemasList = command({
  name: 'schemas list',
  group: 'On Kafka',
  summary: 'show the registered schemas of events, and which of them this build has',
  description: `
    One line for each version of each subject of this installation's events: its id, which stands before every event written
    by it, and whether it is the schema of this build ("in use"), an older one ("read"), or of an event that this build does
    not know. Schemas of this build that are not registered come last.`,
  examples: [
    { line: 'onceward schemas list --registry http://localhost:8081', says: 'as it stands now' },
    { line: 'onceward schemas list --registry-dir registry --json', says: 'a registry in a folder, for a program' },
  ],
  settings: [schemas, prefix, json, ...REGISTRY],
  async run(context) {
    const { listSchemas } = await import('../schemas/list.ts')
    await listSchemas(context)
  },
})
