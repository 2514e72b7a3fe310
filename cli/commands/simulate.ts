import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'

const seed = setting('seed', {
  type: 'text',
  default: '1',
  placeholder: 'N|N..M',
  help: 'the seed of the run, or a range of seeds that are all run',
  pattern: { test: /^\d{1,9}(\.\.\d{1,9})?$/, right: 'a seed or a range of seeds; write 42 or 1..500' },
})

const steps = setting('steps', {
  type: 'integer',
  default: '400',
  min: 1,
  max: 100_000,
  help: 'how many events are sent in a run',
})

const faults = setting('faults', {
  type: 'list',
  default: 'all',
  placeholder: 'A,B,...',
  help: 'which faults may strike: all, none, or names (docs/SIMULATION.md lists them)',
})

const trace = setting('trace', { type: 'flag', help: 'print what happened, with its virtual time' })

const json = setting('json', { type: 'flag', help: 'print one line of JSON for each seed' })

const jobs = setting('jobs', {
  type: 'integer',
  min: 1,
  max: 256,
  help: 'how many processes share a range; as many as there are cores where it is left out',
})

export const simulate = command({
  name: 'simulate',
  group: 'Trying out',
  summary: 'run the real engine against faults drawn from a seed, and check that nothing is lost or doubled',
  description: `
    Workers and sinks, as they are, on a log in memory and in virtual time, while events flow: processes crash between any
    two steps or freeze and come back as zombies, answers are lost, stores are stale, torn or gone, the wallet and the
    ledger fail. Afterwards every score, reward, dead letter and payment is compared with an independent reference.

    The same seed always does the same, byte for byte. A range runs on all cores; where a seed fails its trace and the first
    difference are printed, with how to run it again, and the exit code is 1.`,
  examples: [
    {
      line: 'onceward simulate --seed 1..500 --faults all',
      says: 'five hundred runs, with everything that can go wrong',
    },
    { line: 'onceward simulate --seed 42 --trace', says: 'one run, and what happened in it' },
    { line: 'onceward simulate --seed 1..50 --faults crash,zombie --steps 2000', says: 'longer runs with two faults' },
  ],
  settings: [seed, steps, faults, trace, json, jobs],
  async run(context) {
    const { runSeeds } = await import('../simulate/seeds.ts')
    return runSeeds(context)
  },
})
