import { defineConfig } from 'vitest/config'

const pipeline = process.env['CI'] === 'true'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    pool: 'forks',
    maxWorkers: 2,
    ...(pipeline ? { reporters: ['default', 'json'], outputFile: { json: '.cache/test-results.json' } } : {}),
  },
})
