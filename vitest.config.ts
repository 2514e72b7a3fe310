import { defineConfig } from 'vitest/config'

const pipeline = process.env['CI'] === 'true'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A minute of faults by the wall clock: on a machine that is busy with the other tests it measures the machine.
    exclude: process.env['ONCEWARD_CHAOS'] === '1' ? [] : ['test/chaos/chaos.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    ...(pipeline ? { reporters: ['default', 'json'], outputFile: { json: '.cache/test-results.json' } } : {}),
  },
})
