import { describe } from 'vitest'
import { httpRegistry } from '../../connectors/registry/http-registry.ts'
import { systemClock } from '../../core/clock.ts'
import { registryForTests, startRegistry } from '../support/registry.ts'
import { registryConformance } from './conformance.ts'

describe.skipIf(!registryForTests().available)('against a real one', () => {
  registryConformance('over HTTP', async () => {
    const server = await startRegistry()
    return {
      judgesByLevel: false,
      oneVersionInRaces: false,
      open: () => Promise.resolve(httpRegistry({ url: server.url, clock: systemClock })),
      close: () => server.stop(),
    }
  })
})
