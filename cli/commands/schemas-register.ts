import { command } from '../command.ts'
import { json } from '../settings/office.ts'
import { REGISTRY } from '../settings/registry.ts'
import { setting } from '../settings/setting.ts'
import { prefix, schemas } from '../settings/shared.ts'

const yes = setting('yes', {
  type: 'flag',
  eachTime: true,
  help: 'register; without it, only what would be registered is shown',
})

export const schemasRegister = command({
  name: 'schemas register',
  group: 'On Kafka',
  summary: 'put the schemas of events into the schema registry',
  description: `
    For each event and major version one subject, such as events.raw-onceward.events.bet_v1, whose schema is the whole event:
    the envelope with the payload in it. Checks as onceward schemas check does, and registers nothing where one change is
    incompatible. What is registered already is no new version.

    Without --yes it shows what it would do. A new subject is given the level BACKWARD_TRANSITIVE, so that the registry itself
    refuses what older events could not be read by.`,
  examples: [
    { line: 'onceward schemas register --registry http://localhost:8081', says: 'what would be registered' },
    {
      line: 'onceward schemas register --registry http://localhost:8081 --schemas schemas --yes',
      says: 'with schemas of your own, for real',
    },
    {
      line: 'onceward schemas register --registry-dir registry --yes',
      says: 'into a folder, where there is no registry',
    },
  ],
  settings: [schemas, prefix, yes, json, ...REGISTRY],
  async run(context) {
    const { registerSchemas } = await import('../schemas/register.ts')
    await registerSchemas(context)
  },
})
