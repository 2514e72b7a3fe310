/** A segment as an archive holds it. */
export interface ArchivedObject {
  readonly bytes: number
  /** Hex; undefined: the archive does not say, and only reading it all would tell. */
  readonly sha256: string | undefined
  /** Unix milliseconds until which nobody can delete or change it; undefined: it is not locked. */
  readonly lockedUntil: number | undefined
}

export interface ToArchive {
  /** Letters, digits, `.`, `_`, `-` and `/`. */
  readonly key: string
  readonly content: Buffer
  /** Hex, of the content. */
  readonly sha256: string
  /** Unix milliseconds. */
  readonly lockUntil: number
}

/**
 * Keeps closed segments where the machine that writes them cannot change them. Throws ONCEWARD_E_ARCHIVE_UNAVAILABLE where
 * trying again may help, and ONCEWARD_E_ARCHIVE_REFUSED where it will not.
 */
export interface Archive {
  /** For people. */
  readonly name: string
  /** undefined: there is nothing under the key. */
  look(key: string): Promise<ArchivedObject | undefined>
  /**
   * Resolves once the archive itself says that it holds just this content, locked. `known`: it did before. Other content
   * under the key is ONCEWARD_E_ARCHIVE_REFUSED, and stays.
   */
  store(object: ToArchive): Promise<'stored' | 'known'>
  close(): Promise<void>
}
