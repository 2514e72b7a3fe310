import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { type CountryResponse, Reader } from 'maxmind'
import type { Clock } from '../../core/clock.ts'
import { messageOf, OncewardError } from '../../core/errors.ts'
import type { GeoLookup } from '../../core/ports/enrich.ts'
import type { Logger } from '../../core/ports/logger.ts'
import { RecentMap } from '../../core/recent-map.ts'

export interface GeoOptions {
  /** An .mmdb file with countries, such as GeoLite2-Country or GeoIP2-City. */
  readonly file: string
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds between two looks at whether the file has changed. Default 60,000. */
  readonly lookMs?: number
}

export interface GeoFile extends GeoLookup {
  close(): Promise<void>
}

const LOOK_MS = 60_000
const ADDRESSES_MAX = 50_000
/** An address that any database must be able to look up: that one is whole is seen only by reading it. */
const PROBES = ['1.1.1.1', '203.0.113.7', '2001:db8::1']

/**
 * Opens a database of countries by address, and reads it again when the file changes. One that is half written or no database is left
 * alone and told about: the former one counts. Rejects with ONCEWARD_E_FILE_UNREADABLE. Not the package's own watching: that ends the process
 * where the new file is broken.
 */
export async function openGeoFile(options: GeoOptions): Promise<GeoFile> {
  const { file, clock, logger, lookMs = LOOK_MS } = options
  let current = await readGeo(file)
  const stop = new AbortController()
  const watch = async (): Promise<void> => {
    let told = ''
    while (!stop.signal.aborted) {
      await clock.sleep(lookMs, stop.signal)
      if (stop.signal.aborted) return
      try {
        if ((await versionOf(file)) === current.version) continue
        current = await readGeo(file)
        told = ''
        logger.info({ file }, 'the new database of countries is in use')
      } catch (error) {
        const problem = messageOf(error)
        if (problem !== told)
          logger.warn({ file, error: problem }, 'the new database of countries is not used; the former one counts')
        told = problem
      }
    }
  }
  const watching = watch()
  return {
    country: (ip) => current.country(ip),
    close: () => {
      stop.abort()
      return watching
    },
  }
}

interface Geo extends GeoLookup {
  /** Another one where the file has changed. */
  readonly version: string
}

async function versionOf(file: string): Promise<string> {
  const { mtimeMs, size, ino } = await stat(file)
  return `${mtimeMs}/${size}/${ino}`
}

const UNKNOWN = ''
/** No address is longer, but for a zone, which no database knows. What is remembered is bounded only with this. */
const ADDRESS_LENGTH_MAX = 45

async function readGeo(file: string): Promise<Geo> {
  try {
    const version = await versionOf(file)
    const reader = new Reader<CountryResponse>(await readFile(file))
    for (const address of PROBES) if (isIP(address) === 4 || reader.metadata.ipVersion === 6) reader.get(address)
    const known = new RecentMap<string>(ADDRESSES_MAX)
    const country = (ip: string): string | undefined => {
      if (ip.length > ADDRESS_LENGTH_MAX) return undefined
      let code = known.get(ip)
      if (code === undefined) known.set(ip, (code = lookUp(reader, ip)))
      return code === UNKNOWN ? undefined : code
    }
    return { version, country }
  } catch (error) {
    throw new OncewardError(
      'ONCEWARD_E_FILE_UNREADABLE',
      `${file} cannot be used as a database of countries: ${messageOf(error)}; give an .mmdb file such as GeoLite2-Country.mmdb`,
      { cause: error },
    )
  }
}

function lookUp(reader: Reader<CountryResponse>, given: string): string {
  const ip = given.startsWith('::ffff:') && isIP(given.slice(7)) === 4 ? given.slice(7) : given
  if (isIP(ip) === 0 || (isIP(ip) === 6 && reader.metadata.ipVersion === 4)) return UNKNOWN
  try {
    return reader.get(ip)?.country?.iso_code ?? UNKNOWN
  } catch {
    // A damaged part of the file.
    return UNKNOWN
  }
}
