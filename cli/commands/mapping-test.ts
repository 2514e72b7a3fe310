import { command } from '../command.ts'
import { json } from '../settings/office.ts'
import { setting } from '../settings/setting.ts'
import { schemas } from '../settings/shared.ts'

const mapping = setting('mapping', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: "a provider's mapping (*.mapping.yaml)",
})

const body = setting('body', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: 'a body (JSON) as the provider sends it',
})

export const mappingTest = command({
  name: 'mapping test',
  group: 'Rules',
  summary: "show what a provider's mapping makes of a body, before the gateway does it",
  description: `
    For each item of the body: the event that the mapping makes of it and whether a worker would take that (by the same check,
    against the same schemas), what was left out because the body has nothing there, or why it is no event. Nothing is sent
    anywhere. --json prints the events alone, one a line, as the gateway would hand them on.

    What is wrong with the mapping itself is told all at once: file, line and column, and what would be right. Ends with 1
    where that is so, or where anything of the body is rejected. docs/PROVIDERS.md explains every key.`,
  examples: [
    {
      line: 'onceward mapping test --mapping examples/gateway/gameco.mapping.yaml --body examples/gateway/bodies/gameco-rounds.json',
      says: 'the example of a game aggregator',
    },
    {
      line: 'onceward mapping test --mapping paygrid.mapping.yaml --body deposit.json --schemas schemas --json',
      says: 'against schemas of your own, for a program',
    },
  ],
  settings: [mapping, body, schemas, json],
  async run(context) {
    const { tryMapping } = await import('../gateway/provider-mapping-test.ts')
    return tryMapping(context)
  },
})
