import bowser from 'bowser'
import type { Device, DeviceLookup } from '../../core/ports/enrich.ts'
import { RecentMap } from '../../core/recent-map.ts'

/** What is read of a user agent: real ones are shorter, and some of bowser's patterns take quadratic time over longer ones. */
const USER_AGENT_LENGTH_MAX = 512
/** User agents that are remembered: reading one takes some tens of microseconds. */
const AGENTS_MAX = 10_000

/** Not a named import, which works in bundlers only. */
const agents: Pick<typeof bowser, 'parse'> = bowser

const PLATFORMS: Readonly<Record<string, string>> = { android: 'android', ios: 'ios' }
const NOTHING: Device = {}

/** Tells the device from the user agent. */
export function openDevices(): DeviceLookup {
  const known = new RecentMap<Device>(AGENTS_MAX)
  return {
    device: (userAgent) => {
      const text = userAgent.slice(0, USER_AGENT_LENGTH_MAX)
      let device = known.get(text)
      if (device === undefined) known.set(text, (device = read(text)))
      return device === NOTHING ? undefined : device
    },
  }
}

function read(userAgent: string): Device {
  // bowser throws where there is nothing to read.
  if (userAgent === '') return NOTHING
  const { browser, os, platform } = agents.parse(userAgent)
  const device = {
    ...(os.name && { os: os.name }),
    ...(browser.name && { browser: browser.name }),
    ...(platform.type && { type: platform.type }),
  }
  if (Object.keys(device).length === 0) return NOTHING
  return { ...device, platform: PLATFORMS[(os.name ?? '').toLowerCase()] ?? 'web' }
}
