import type { Command } from './command.ts'
import { AUDIT } from './commands/audit.ts'
import { BENCHES } from './commands/bench.ts'
import { BUDGETS } from './commands/budgets.ts'
import { demo } from './commands/demo.ts'
import { DLQ } from './commands/dlq.ts'
import { explain } from './commands/explain.ts'
import { gateway } from './commands/gateway.ts'
import { HOLDS } from './commands/holds.ts'
import { ingest } from './commands/ingest.ts'
import { keysCreate } from './commands/keys.ts'
import { lag } from './commands/lag.ts'
import { mappingTest } from './commands/mapping-test.ts'
import { partner } from './commands/partner.ts'
import { POLICY } from './commands/policy.ts'
import { reconcile } from './commands/reconcile.ts'
import { replay } from './commands/replay.ts'
import { REWARDS } from './commands/rewards.ts'
import { RULES_CONTROL } from './commands/rules-control.ts'
import { rulesLint } from './commands/rules-lint.ts'
import { rulesSchema } from './commands/rules-schema.ts'
import { rulesBacktest } from './commands/rules-backtest.ts'
import { rulesTest } from './commands/rules-test.ts'
import { run } from './commands/run.ts'
import { SCHEMAS } from './commands/schemas.ts'
import { simulate } from './commands/simulate.ts'
import { sink } from './commands/sink.ts'
import { tail } from './commands/tail.ts'
import { topicsCreate } from './commands/topics-create.ts'
import { worker } from './commands/worker.ts'

/** Every command there is, in the order of the help page. A new one is added here and nowhere else. */
export const COMMANDS: readonly Command[] = [
  demo,
  run,
  rulesBacktest,
  rulesTest,
  rulesLint,
  rulesSchema,
  ...RULES_CONTROL,
  ...POLICY,
  mappingTest,
  topicsCreate,
  ...SCHEMAS,
  ingest,
  gateway,
  keysCreate,
  worker,
  sink,
  ...HOLDS,
  ...REWARDS,
  ...BUDGETS,
  ...DLQ,
  replay,
  lag,
  tail,
  explain,
  reconcile,
  ...AUDIT,
  partner,
  simulate,
  ...BENCHES,
]
