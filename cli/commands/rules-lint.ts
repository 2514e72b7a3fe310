import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'
import { schemas } from '../settings/shared.ts'

const dir = setting('dir', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'DIR',
  help: 'folder with rule files and segments (*.yaml), or one file',
})

const format = setting('format', {
  type: 'choice',
  choices: ['text', 'json', 'github'],
  placeholder: 'FORMAT',
  default: 'text',
  help: 'how findings are printed: text for people, json for programs, github as annotations of a pull request',
})

const pools = setting('pools', {
  type: 'list',
  placeholder: 'A,B,...',
  help: 'the budget pools that there are, or policy files (*.yaml) that declare them; without it pools are held against the policy in the folder, and are not checked where there is none',
})

export const rulesLint = command({
  name: 'rules lint',
  group: 'Rules',
  summary: 'find mistakes in rules before they cost money',
  description: `
    Reads every rule and segment of a folder and holds them against each other and against the event schemas: unknown fields
    and events, types that do not fit, thresholds that nobody comes to, dates between which nothing lies, segments and pools
    that do not exist, divisions by what can be zero. With a payout policy, also pools that pay in other countries or at
    other times than the rule, and rewards of which the policy does not know what they cost.

    Each finding has its file, line and column, the line with a caret, a code that docs/errors.md explains, and what would be
    right. Ends with 0 where there are no errors (warnings may be), with 1 where there are, with 2 where the usage is wrong.`,
  examples: [
    { line: 'onceward rules lint rules', says: 'all that is wrong, for people' },
    {
      line: 'onceward rules lint rules --format github --schemas schemas --pools nov_season,daily',
      says: 'in a GitHub workflow, with schemas of your own, and the pools checked',
    },
    { line: 'onceward rules lint rules --pools policies/payout.yaml', says: 'against a policy that lies elsewhere' },
  ],
  settings: [dir, format, pools, schemas],
  async run(context) {
    const { lintFolder } = await import('../rules/lint.ts')
    return lintFolder(context)
  },
})
