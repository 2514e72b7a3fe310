/** What a user agent says of itself. Only what is known is there. */
export interface Device {
  /** Such as `Android`. */
  readonly os?: string
  /** Such as `Chrome`. */
  readonly browser?: string
  /** mobile, tablet, desktop, tv or bot. */
  readonly type?: string
  /** In the words of `user.platform`: android, ios or web. */
  readonly platform?: string
}

export interface DeviceLookup {
  /** undefined: nothing is known of it. Throws nothing, and takes little however long or hostile the text is. */
  device(userAgent: string): Device | undefined
}

export interface GeoLookup {
  /** ISO 3166-1 alpha-2 of an address; undefined: not known, or no address. Throws nothing. */
  country(ip: string): string | undefined
}
