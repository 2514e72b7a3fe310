import { command } from '../command.ts'
import { benchDir } from '../settings/bench.ts'
import { setting } from '../settings/setting.ts'

const count = setting('count', { type: 'integer', default: '60000', min: 1, max: 10_000_000, help: 'how many rewards' })

const sinks = setting('sinks', { type: 'integer', default: '4', min: 1, max: 32, help: 'sink processes' })

const inFlight = setting('in-flight', {
  type: 'integer',
  default: '256',
  min: 1,
  max: 1_000,
  help: 'payments at once, of each sink',
})

const callers = setting('callers', { type: 'integer', default: '64', min: 1, max: 1_000, help: 'calls at once' })

const covered = setting('covered', {
  type: 'rate',
  default: '90%',
  help: 'part of the rewards that the budget covers; the rest is held, so that its bound is met',
})

const calls = setting('calls', {
  type: 'integer',
  default: '10000',
  min: 1,
  max: 10_000_000,
  help: 'how many calls to the partner',
})

const json = setting('json', { type: 'flag', help: 'print one line of JSON instead of a table' })

export const benchPayout = command({
  name: 'bench payout',
  group: 'Trying out',
  summary: 'measure rewards a second through one hot pool, its bound watched, and calls a second to a partner',
  description: `
    Starts a Postgres of its own, durable, in a temporary folder, and sinks as processes, each with a log in memory and a
    wallet that pays at once: all that they do goes through one row of reward_budget. Another connection looks at spent +
    reserved throughout. The budget does not cover the last rewards; in the end every one is counted.

    Then it calls onceward partner, in another process, through the sink's own client. Exit code 1 says that an invariant
    was broken; a goal that was missed is shown and is none.`,
  examples: [{ line: 'onceward bench payout', says: '60,000 rewards through four sinks, then 10,000 calls' }],
  settings: [count, sinks, inFlight, covered, calls, callers, benchDir, json],
  async run(context) {
    const { benchPayouts } = await import('../bench/payout-command.ts')
    return benchPayouts(context)
  },
})
