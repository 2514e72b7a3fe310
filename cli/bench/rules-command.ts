import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../core/random.ts'
import type { Context } from '../command.ts'
import { formatCount } from '../progress.ts'
import { machineShape } from './machine.ts'
import { RulesBench, type RulesFigures } from './rules.ts'
import { textTable } from '../text-table.ts'

interface RulesSettings {
  readonly rules: number
  readonly for: number
}

/** Beside the sources as in dist/, where the build copies it. */
const EXAMPLE = fileURLToPath(new URL('../../examples/rules/r_points_winmult_v2.yaml', import.meta.url))

export async function runRulesBench({ settings, terminal, clock }: Context<RulesSettings>): Promise<void> {
  const bench = new RulesBench({
    clock,
    random: seededRandom(1),
    ruleText: await readFile(EXAMPLE, 'utf8'),
    rules: settings.rules,
    forMs: settings.for,
    onPhase: (phase) => terminal.note(`${phase} ...`),
  })
  await terminal.print(rulesReport(bench.run()))
}

/** What the command prints. */
export function rulesReport({ perSecond, matched, sets }: RulesFigures): string {
  const [one] = sets
  const rows = sets.map(({ name, rules, nsPerEvent }) => [
    name,
    formatCount(rules),
    nsPerEvent.toFixed(0),
    `${(nsPerEvent / (one?.nsPerEvent ?? nsPerEvent)).toFixed(1)} ×`,
  ])
  return [
    `${machineShape()}\none thread, the fastest of five rounds; rules alone: no log, no state, no caps\n`,
    `the seed's rule: ${formatCount(Math.round(perSecond))} evaluations a second (${(matched * 100).toFixed(0)} % of the events match)\n`,
    textTable([['rules on one event name', 'rules', 'ns an event', 'against one'], ...rows]),
  ].join('\n')
}
