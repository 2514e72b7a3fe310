import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'

const name = setting('name', {
  type: 'text',
  required: true,
  positional: true,
  placeholder: 'NAME',
  help: 'what stands in the audit log in the place of the key: letters, digits, _ and -',
  pattern: { test: /^[A-Za-z0-9_-]{1,64}$/, right: 'a name for a key; use up to 64 letters, digits, _ and -' },
})

export const keysCreate = command({
  name: 'keys create',
  group: 'On Kafka',
  summary: 'make an API key for a source of events',
  description: `
    Prints a new random key, and the line for it that belongs under keys: of the source in the gateway's file. The line
    holds the key's hash only: the key itself is shown this once and is kept nowhere. A source may have several keys, so
    that a new one can be given out before the old one is taken away (docs/GATEWAY.md).`,
  examples: [{ line: 'onceward keys create --name web_2', says: 'the key for whoever sends, the line for the file' }],
  settings: [name],
  async run(context) {
    const { createKey } = await import('../gateway/new-key.ts')
    await context.terminal.print(createKey(context.settings.name))
  },
})
