import type { Command } from '../command.ts'
import { schemasCheck } from './schemas-check.ts'
import { schemasList } from './schemas-list.ts'
import { schemasRegister } from './schemas-register.ts'

/** The commands around the schema registry, in the order of the help page. A new one is added here and nowhere else. */
export const SCHEMAS: readonly Command[] = [schemasCheck, schemasRegister, schemasList]
