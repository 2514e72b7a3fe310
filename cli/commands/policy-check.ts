import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'

const path = setting('path', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'FILE|DIR',
  help: 'a policy file, or a folder with such files (*.yaml that begin with policy: …)',
})

export const policyCheck = command({
  name: 'policy check',
  group: 'Rules',
  summary: 'find mistakes in the payout policy before they cost money',
  description: `
    Reads the policy (budgets of pools, unit costs, exchange rates, levels of verification, large prizes) and tells all that
    is wrong with it at once: file, line and column, the line with a caret, and what would be right. Ends with 1 where
    anything is wrong. docs/POLICY.md explains every key; onceward rules lint holds rules against it.`,
  examples: [
    { line: 'onceward policy check examples/rules/payout.policy.yaml', says: 'the example that comes with Onceward' },
    { line: 'onceward policy check rules', says: 'every version in a folder' },
  ],
  settings: [path],
  async run(context) {
    const { checkPolicies } = await import('../policy/check.ts')
    return checkPolicies(context)
  },
})
