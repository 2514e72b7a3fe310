import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'

const rules = setting('rule-count', {
  type: 'integer',
  default: '200',
  min: 2,
  max: 10_000,
  help: 'rules that look at the same event name',
})

const duration = setting('for', {
  type: 'duration',
  default: '2s',
  min: 10,
  max: 600_000,
  help: 'how long each figure is measured, in five rounds, after as long a time to warm up',
})

export const benchRules = command({
  name: 'bench rules',
  group: 'Trying out',
  summary: 'measure how fast rules are evaluated: one, and many on the same event name',
  description: `
    Evaluates the example rule r_points_winmult_v2 (three filters, a formula with a division) against generated bets, on one
    thread: how often in a second. Then what an event costs where many such rules look at its name: each for a game or a
    country of its own, which are looked up by that field, and all for every bet, which cannot be.`,
  examples: [{ line: 'onceward bench rules', says: 'one rule, and two hundred' }],
  settings: [rules, duration],
  async run(context) {
    const { runRulesBench } = await import('../bench/rules-command.ts')
    await runRulesBench({ ...context, settings: { ...context.settings, rules: context.settings.ruleCount } })
  },
})
