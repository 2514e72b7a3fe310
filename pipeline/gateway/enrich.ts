import type { Json, JsonObject } from '../../core/model/event.ts'
import type { Device, DeviceLookup, GeoLookup } from '../../core/ports/enrich.ts'
import type { EventSource, RequestFacts } from '../../core/ports/gateway.ts'
import { isObject } from '../../operators/type-checks.ts'

/** Where what is added to events comes from. */
export interface Lookups {
  readonly geo: GeoLookup | undefined
  readonly devices: DeviceLookup | undefined
  readonly isPayer: (userId: string) => boolean
}

/**
 * What the connection tells of the player. Nothing where the player is not the one who is connected: a trusted source is a server, whose
 * address and country are not the player's.
 */
interface Connection {
  readonly ip: string | undefined
  readonly country: string | undefined
  readonly platform: string | undefined
  /** As `context.device`. */
  readonly device: JsonObject | undefined
}

const NOBODY: Connection = { ip: undefined, country: undefined, platform: undefined, device: undefined }

/**
 * Adds what is known of the player to the events of one request. A trusted source's own word always stands; an untrusted one's on where
 * the player is, whether they pay and what they risk is replaced, or dropped where nothing is known. Leaves the events as they are.
 */
export function enricherOf(
  source: EventSource,
  facts: RequestFacts,
  lookups: Lookups,
): (data: JsonObject, userId: string) => JsonObject {
  if (source.trusted) return (data, userId) => complete(data, userId, lookups)
  const connection = source.kind === 'key' ? connectionOf(facts, lookups) : NOBODY
  return (data, userId) => replace(data, { connection, payer: lookups.isPayer(userId) })
}

function connectionOf({ ip, userAgent, country }: RequestFacts, { geo, devices }: Lookups): Connection {
  const device = userAgent === undefined ? undefined : devices?.device(userAgent)
  return {
    ip,
    country: countryCode(country) ?? countryCode(geo?.country(ip)),
    platform: device?.platform,
    device: device && shown(device),
  }
}

/** CDNs have codes of their own for what they do not know. */
function countryCode(given: string | undefined): string | undefined {
  const code = given?.toUpperCase()
  return code !== undefined && /^[A-Z]{2}$/.test(code) && code !== 'XX' ? code : undefined
}

function complete(data: JsonObject, userId: string, { geo, isPayer }: Lookups): JsonObject {
  const user = objectOf(data.user)
  const added: Record<string, Json> = {}
  if (isAbsent(user.geo) && geo !== undefined) {
    const ip = objectOf(data.context).ip
    const country = typeof ip === 'string' ? countryCode(geo.country(ip)) : undefined
    if (country !== undefined) added.geo = country
  }
  if (isAbsent(user.payer_flag) && isPayer(userId)) added.payer_flag = true
  for (const _ in added) return { ...data, user: { ...user, ...added } }
  return data
}

function replace(data: JsonObject, known: { readonly connection: Connection; readonly payer: boolean }): JsonObject {
  const { ip, country, platform, device } = known.connection
  const said = objectOf(data.user)
  const user: Record<string, Json | undefined> = { ...said, geo: country, payer_flag: known.payer ? true : undefined }
  user.risk_flags = undefined
  if (isAbsent(said.platform) && platform !== undefined) user.platform = platform
  const saidContext = objectOf(data.context)
  const context: Record<string, Json | undefined> = { ...saidContext, ip }
  if (isAbsent(saidContext.device) && device !== undefined) context.device = device
  return { ...data, user, context }
}

function shown({ os, browser, type }: Device): JsonObject {
  return { ...(os && { os }), ...(browser && { browser }), ...(type && { type }) }
}

function isAbsent(value: Json | undefined): boolean {
  return value === undefined || value === null
}

function objectOf(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {}
}
