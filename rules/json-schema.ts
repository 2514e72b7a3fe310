import { META_KEYS, PRIORITY_MAX, TOP_KEYS } from './rule-file.ts'
import { GUARDRAILS, SHARP_RISE_KEYS, SHARP_RISE_WINDOWS } from './guardrails-section.ts'
import { LIMIT_KEYS, PROGRESS_KEYS, RESETS, TRIGGER_KEYS } from './reward-section.ts'
import { ARM_KEYS, EXPERIMENT_KEYS } from './rollout-section.ts'
import { CAP_KEYS, SCORE_KEYS } from './score-section.ts'
import { SEGMENT_KEYS } from './segment-file.ts'
import { POLICY } from './policy-schema.ts'
import {
  COUNTRY,
  countries,
  DURATION,
  FROM,
  formula,
  ID_PATTERN,
  LEVEL,
  map,
  money,
  ref,
  type Schema,
  text,
  wholeNumber,
  written,
  ZONE,
} from './schema-parts.ts'
import { WHEN_KEYS } from './when-section.ts'

const FILTERS: Schema = {
  type: 'array',
  maxItems: 100,
  items: { type: 'string' },
  description: 'Conditions, all of which must hold: payload.bet >= 0.2, user.geo in ["TR"], user in segment("vip").',
}

const caps = map(
  CAP_KEYS,
  {
    per_bet: wholeNumber('Most points of one event.'),
    per_event: wholeNumber('The same as per_bet.'),
    per_minute: wholeNumber('Most points of one player in one calendar minute.'),
    per_hour: wholeNumber('Most points of one player in one calendar hour.'),
    per_day: wholeNumber('Most points of one player in one calendar day.'),
  },
  { description: 'Most points, in the time of the events and the zone of the rule.' },
)

const score = map(
  SCORE_KEYS,
  {
    formula: formula('Points for one event: "floor(payload.win * 3)"; rounded down, at least 0.'),
    caps: ref('caps'),
    time_zone: ZONE,
  },
  { required: ['formula'] },
)

const reward: Schema = {
  type: 'object',
  required: ['type'],
  description: 'What a player gets. Keys that are not listed are carried to the partner as they stand.',
  properties: {
    type: text('fs, cash, bonus_cash, coupon, loot, or any word that the payout knows.'),
    value: formula('How much: money for cash and bonus_cash, a count for fs; a text is a formula.'),
    currency: text('ISO 4217; EUR where there is none.', { pattern: '^[A-Z]{3}$' }),
    cost: formula('What it costs the pool, in money; a text is a formula.'),
    wagering: { type: 'number', minimum: 0, description: 'How many times it must be wagered.' },
  },
}

const limits = map(
  LIMIT_KEYS,
  {
    cool_down: text('Least time between two rewards: 30m, 12h, 7d.', { pattern: DURATION }),
    per_day: wholeNumber('Most rewards in one calendar day.', 1),
    per_week: wholeNumber('Most rewards in one calendar week, from Monday.', 1),
    per_month: wholeNumber('Most rewards in one calendar month.', 1),
    ever: wholeNumber('Most rewards at all.', 1),
  },
  { description: 'How often a player gets rewards of this rule.' },
)

const THRESHOLD = wholeNumber('Points at which the reward is given.', 1)
const progress = map(
  PROGRESS_KEYS,
  {
    threshold: { anyOf: [THRESHOLD, { type: 'array', items: THRESHOLD, minItems: 1 }] },
    reward: { anyOf: [ref('reward'), { type: 'array', items: ref('reward'), minItems: 1 }] },
    reset: { enum: RESETS, description: 'When progress begins again.' },
  },
  { required: ['threshold', 'reward'] },
)

const when = map(
  WHEN_KEYS,
  {
    event_name: {
      anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' }, minItems: 1, maxItems: 100 }],
      description: 'The events that it looks at.',
    },
    filters: FILTERS,
  },
  { required: ['event_name'] },
)

const POOL = text('A pool of the policy.', { pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$' })

const sharpRise = map(
  SHARP_RISE_KEYS,
  {
    share: { type: ['number', 'string'], description: 'The part of the threshold: 0.8 or 80%.' },
    within: { enum: SHARP_RISE_WINDOWS, description: 'The calendar window of the crossing event.' },
  },
  {
    required: ['share', 'within'],
    description: 'Whoever scores this part of a threshold within one such window is reviewed before being paid.',
  },
)

const guardrails = map(
  GUARDRAILS,
  {
    kyc_min_level: LEVEL,
    rg_limits_ok: { type: 'boolean', description: 'Asked of every reward, whatever stands here.' },
    budget_pool: {
      anyOf: [
        POOL,
        {
          type: 'object',
          minProperties: 1,
          propertyNames: { pattern: `${COUNTRY}|^default$` },
          additionalProperties: POOL,
        },
      ],
      description: 'The pool that pays, or pools by the player’s country: { TR: nov_tr, default: nov_season }.',
    },
    budget_soft_cap: money('Where spending from the pool gets cautious.'),
    geo: countries('Countries whose players are paid; all where it is left out.'),
    frozen_expiry: text('How long a reward may stay frozen before it expires: 12h, 30d.', { pattern: DURATION }),
    sharp_rise: sharpRise,
  },
  { description: 'Conditions on paying.' },
)

const arm = map(
  ARM_KEYS,
  {
    name: text('Names the arm on every score and reward.'),
    weight: { type: 'number', exclusiveMinimum: 0, description: 'Its part of the players, against the other weights.' },
    score: { type: 'object', description: 'In place of the rule’s formula and caps.' },
    reward_trigger: ref('trigger'),
  },
  { required: ['name'] },
)

const experiment: Schema = {
  anyOf: [
    written('Written on every reward task.'),
    map(EXPERIMENT_KEYS, { id: written('Names it.'), arms: { type: 'array', items: arm, minItems: 2 } }),
  ],
}

const meta = map(META_KEYS, {
  version: written('Names this state of the rule; a published version never changes.'),
  effective_from: FROM,
  rollout: { type: 'number', minimum: 0, maximum: 100, description: 'Percent of the players that it is for.' },
  experiment,
  name: written('For people.'),
  description: written('For people.'),
  owner: written('For people.'),
  ticket: written('For people.'),
})

const rule = map(
  TOP_KEYS,
  {
    rule_id: text('Names the rule, for ever.', { pattern: ID_PATTERN }),
    when: ref('when'),
    ordering: { enum: ['any', 'strict'], description: 'strict: events are scored in order of their own time.' },
    priority: {
      type: 'integer',
      minimum: -PRIORITY_MAX,
      maximum: PRIORITY_MAX,
      description: 'The greater goes first; 0 where there is none.',
    },
    exclusive_group: text('Of the rules of one group only the first that matches scores an event.', {
      pattern: ID_PATTERN,
    }),
    score: ref('score'),
    reward_trigger: ref('trigger'),
    guardrails: ref('guardrails'),
    meta: ref('meta'),
  },
  { required: ['rule_id', 'when', 'score'] },
)

const segment = map(
  SEGMENT_KEYS,
  {
    segment_id: text('Names it in user in segment("…").', { pattern: ID_PATTERN }),
    conditions: FILTERS,
    users: { type: 'array', items: { type: ['string', 'number'] }, description: 'The ids of its users.' },
    users_file: text('A text file in the same folder, with one user id on each line.'),
    time_zone: ZONE,
    effective_from: FROM,
    name: written('For people.'),
    description: written('For people.'),
    owner: written('For people.'),
  },
  { required: ['segment_id'] },
)

/** Of rule files, segment files and policy files. */
export const RULE_SCHEMA: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Onceward rules',
  oneOf: [ref('rule'), ref('segment'), ref('policy')],
  $defs: {
    rule,
    segment,
    policy: POLICY,
    when,
    score,
    caps,
    trigger: map(TRIGGER_KEYS, { on_progress: progress, limits }, { required: ['on_progress'] }),
    reward,
    guardrails,
    meta,
  },
}
