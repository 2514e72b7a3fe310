import { command } from '../command.ts'

export const rulesSchema = command({
  name: 'rules schema',
  group: 'Rules',
  summary: 'print the JSON Schema of rule files, for editors',
  description: `
    Prints a JSON Schema (draft 2020-12) of rules, segments and policies to stdout, so that an editor completes keys and marks
    what does not fit while it is typed. Filters and formulas are texts to it: rules lint looks into them.`,
  examples: [
    {
      line: 'onceward rules schema > rules.schema.json',
      says: 'then begin a rule file with # yaml-language-server: $schema=rules.schema.json',
    },
  ],
  settings: [],
  async run({ terminal }) {
    const { RULE_SCHEMA } = await import('../../rules/json-schema.ts')
    await terminal.print(`${JSON.stringify(RULE_SCHEMA, null, 2)}\n`)
  },
})
