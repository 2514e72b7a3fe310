import { POLICY_KEYS, POLICY_META_KEYS } from './policy-file.ts'
import { POOL_KEYS, POOL_PERIODS, WHEN_CLOSED } from './policy-pools.ts'
import { countries, FROM, ID_PATTERN, LEVEL, map, type Schema, text, written, ZONE } from './schema-parts.ts'

const amount = (description: string): Schema => ({
  type: ['number', 'string'],
  minimum: 0,
  pattern: '^(0|[1-9][0-9]{0,15})([.][0-9]{1,2})?$',
  description,
})
const LARGE_PRIZE = amount('From this cost on a prize is large.')
const REVIEW_FROM = amount('From this cost on somebody looks at it before it is paid.')

const pool = map(
  POOL_KEYS,
  {
    budget: amount('The most that one period may cost.'),
    soft_cap: amount('From here on large prizes wait for a person.'),
    period: { enum: POOL_PERIODS, description: 'When the budget begins again; all: never.' },
    time_zone: ZONE,
    from: written('The first day on which it pays.'),
    until: written('The last day on which it pays.'),
    geo: countries('Countries whose players it pays; all where it is left out.'),
    when_closed: { enum: WHEN_CLOSED, description: 'What becomes of a reward that the budget does not cover.' },
    breaker: { ...written('From this percentage of the budget on large prizes wait.'), pattern: '^[0-9]{1,3} *%?$' },
    large_prize: LARGE_PRIZE,
    review_from: REVIEW_FROM,
    description: written('For people.'),
  },
  { required: ['budget'] },
)

const unitCost: Schema = {
  type: 'object',
  required: ['type', 'unit_cost'],
  properties: {
    type: text('The type of the reward.'),
    unit_cost: {
      type: ['number', 'string'],
      minimum: 0,
      description: 'What one of them costs, with up to 6 decimals.',
    },
  },
  description: 'Whatever else stands here must be equal in the reward.',
}

const RATE: Schema = { type: ['number', 'string'], exclusiveMinimum: 0 }

/** Of policy files. */
export const POLICY: Schema = map(
  POLICY_KEYS,
  {
    policy: text('Names it, for people.', { pattern: ID_PATTERN }),
    currency: text('Of budgets and costs, ISO 4217.', { pattern: '^[A-Z]{3}$' }),
    time_zone: ZONE,
    pools: { type: 'object', additionalProperties: pool, description: 'Budgets, by the name that rules use.' },
    catalogue: { type: 'array', items: unitCost, description: 'What rewards cost that are no money.' },
    rates: {
      type: 'object',
      propertyNames: { pattern: '^[A-Z]{3}$' },
      additionalProperties: { anyOf: [RATE, { type: 'object', additionalProperties: RATE }] },
      description: 'What one unit of another currency is in the currency of the policy, by the day from which on.',
    },
    kyc: {
      type: 'object',
      additionalProperties: LEVEL,
      description: 'Least levels of verification, by type of reward.',
    },
    large_prize: LARGE_PRIZE,
    review_from: REVIEW_FROM,
    four_eyes_from: amount('From this cost on a review takes two people.'),
    meta: map(
      POLICY_META_KEYS,
      {
        version: written('Names this state of the policy; a published version never changes.'),
        effective_from: FROM,
        name: written('For people.'),
        description: written('For people.'),
        owner: written('For people.'),
        ticket: written('For people.'),
      },
      { required: ['version'] },
    ),
  },
  { required: ['policy', 'currency', 'meta'] },
)
