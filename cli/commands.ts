import type { Command } from './command.ts'
import { ingest } from './commands/ingest.ts'
import { lag } from './commands/lag.ts'
import { partner } from './commands/partner.ts'
import { sink } from './commands/sink.ts'
import { tail } from './commands/tail.ts'
import { topicsCreate } from './commands/topics-create.ts'

/** Every command there is, in the order of the help page. A new one is added here and nowhere else. */
export const COMMANDS: readonly Command[] = [topicsCreate, ingest, sink, lag, tail, partner]
