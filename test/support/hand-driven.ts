import type { GroupConsumer, GroupHandler } from '../../core/ports/log.ts'

/** A group whose every call the test makes by hand. */
export class HandDriven implements GroupConsumer {
  handler: GroupHandler | undefined
  #stop: () => void = () => undefined
  readonly #stopped = new Promise<void>((resolve) => {
    this.#stop = resolve
  })

  async run(handler: GroupHandler): Promise<void> {
    this.handler = handler
    await this.#stopped
  }

  async stop(): Promise<void> {
    this.#stop()
  }

  async commit(): Promise<void> {}
}
