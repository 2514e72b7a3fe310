/** What was opened, closed again in reverse order. */
export class Resources {
  readonly #closers: (() => Promise<void>)[] = []

  keep<T extends { close(): Promise<void> }>(resource: T): T {
    this.defer(() => resource.close())
    return resource
  }

  defer(close: () => Promise<void>): void {
    this.#closers.push(close)
  }

  /** Closes all, even where one of them fails; then throws the first failure. Idempotent. */
  async close(): Promise<void> {
    let first: { readonly error: unknown } | undefined
    for (let close = this.#closers.pop(); close !== undefined; close = this.#closers.pop()) {
      try {
        await close()
      } catch (error) {
        first ??= { error }
      }
    }
    if (first !== undefined) throw first.error
  }
}
