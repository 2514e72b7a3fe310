import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { policyBrokers, policyFile } from '../settings/policy.ts'
import { json, lookAt } from '../settings/rules-control.ts'
import { setting } from '../settings/setting.ts'
import { prefix } from '../settings/shared.ts'

const reward = setting('reward', {
  type: 'text',
  required: true,
  placeholder: 'JSON',
  help: 'the reward as a task carries it, such as {"type":"fs","amount":10}; value is read as amount',
})

export const policyCost = command({
  name: 'policy cost',
  group: 'Rules',
  summary: 'say what a reward costs its pool, and what says so',
  description: `
    Works the cost out as workers and sinks do: what the reward says itself (cost), else its amount by the exchange rate of
    the day for cash and bonus_cash, else its units by the most specific line of the catalogue. Ends with 1 where there is
    no rate: then a person must look at such a reward before it is paid.`,
  examples: [
    {
      line: `onceward policy cost --policy examples/rules/payout.policy.yaml --reward '{"type":"fs","amount":10}'`,
      says: 'ten free spins by the catalogue of a file',
    },
    {
      line: `onceward policy cost --brokers localhost:9092 --reward '{"type":"cash","amount":50,"currency":"TRY"}' --at 2025-11-20`,
      says: 'fifty lira by the published rate of a day',
    },
  ],
  settings: [reward, policyBrokers, policyFile, prefix, lookAt, json, ...KAFKA_SECURITY],
  async run(context) {
    const { costOfReward } = await import('../policy/cost.ts')
    const { policiesToLookAt } = await import('../policy/sources.ts')
    return costOfReward(await policiesToLookAt(context), context)
  },
})
