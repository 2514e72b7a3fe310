import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type GeoFile, openGeoFile } from '../../connectors/enrich/geo.ts'
import type { Clock } from '../../core/clock.ts'
import { systemClock } from '../../core/clock.ts'
import { silentLogger } from '../../core/ports/logger.ts'
import { ManualClock } from '../support/clocks.ts'
import { codeOf } from './harness.ts'
import { mmdbOf } from './mmdb.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'onceward-geo-test-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function opened(
  name: string,
  database: Buffer,
  clock: Clock = systemClock,
): Promise<{ geo: GeoFile; file: string }> {
  const file = join(folder, name)
  await writeFile(file, database)
  return { geo: await openGeoFile({ file, clock, logger: silentLogger, lookMs: 1_000 }), file }
}

const TWO = mmdbOf({ '203.0.113.0/24': 'DE', '198.51.100.0/24': 'TR', '10.0.0.1/32': 'FR' })

describe('the country of an address', () => {
  it('is that of its network', async () => {
    const { geo } = await opened('two.mmdb', TWO)
    const asked = [
      '203.0.113.7',
      '203.0.113.255',
      '198.51.100.1',
      '10.0.0.1',
      '10.0.0.2',
      '203.0.114.0',
      '::ffff:203.0.113.7',
    ]
    expect(asked.map((ip) => geo.country(ip))).toEqual(['DE', 'DE', 'TR', 'FR', undefined, undefined, 'DE'])
    await geo.close()
  })

  it('is not known of what is no address, or one that the file does not have', async () => {
    const { geo } = await opened('two.mmdb', TWO)
    const asked = [
      '',
      'localhost',
      '203.0.113',
      '203.0.113.7/24',
      '2001:db8::1',
      '::ffff:nonsense',
      '999.1.1.1',
      `fe80::1%${'x'.repeat(99)}`,
    ]
    expect(asked.map((ip) => geo.country(ip))).toEqual(asked.map(() => undefined))
    await geo.close()
  })

  it('comes from the new file where it was replaced, and from the former one while the new one is broken', async () => {
    const clock = new ManualClock(0)
    const { geo, file } = await opened('changing.mmdb', TWO, clock)
    const replace = async (database: Buffer): Promise<void> => {
      await writeFile(`${file}.new`, database)
      await rename(`${file}.new`, file)
    }
    const look = async (until: () => boolean): Promise<void> => {
      while (!until()) {
        if (clock.sleeping > 0) clock.advance(1_000)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    expect(geo.country('203.0.113.7')).toBe('DE')
    await replace(Buffer.from('half of a file'))
    let looks = 0
    await look(() => clock.sleeping > 0 && ++looks > 5)
    expect(geo.country('203.0.113.7')).toBe('DE')
    await replace(mmdbOf({ '203.0.113.0/24': 'AT' }))
    await look(() => geo.country('203.0.113.7') === 'AT')
    await geo.close()
  })

  it('a file that is none is refused at the start', async () => {
    const none = join(folder, 'none.mmdb')
    const open = (file: string) => openGeoFile({ file, clock: systemClock, logger: silentLogger })
    expect(await codeOf(open(none))).toBe('ONCEWARD_E_FILE_UNREADABLE')
    await writeFile(none, 'no database at all')
    expect(await codeOf(open(none))).toBe('ONCEWARD_E_FILE_UNREADABLE')
    const damaged = Buffer.from(TWO)
    // A type that there is not, in the place of the first record.
    damaged.set([0, 255], TWO.indexOf('country') - 2)
    await writeFile(none, damaged)
    expect(await codeOf(open(none))).toBe('ONCEWARD_E_FILE_UNREADABLE')
    await writeFile(none, TWO.subarray(0, TWO.length - 40))
    expect(await codeOf(open(none))).toBe('ONCEWARD_E_FILE_UNREADABLE')
  })
})
