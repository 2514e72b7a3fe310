import type { Command } from '../command.ts'
import { rulesDiff } from './rules-diff.ts'
import { rulesList } from './rules-list.ts'
import { rulesPause } from './rules-pause.ts'
import { rulesPublish } from './rules-publish.ts'
import { rulesRamp } from './rules-ramp.ts'
import { rulesResume } from './rules-resume.ts'
import { rulesRetire } from './rules-retire.ts'
import { rulesShow } from './rules-show.ts'

/** The commands around published rules, in the order of the help page. A new one is added here and nowhere else. */
export const RULES_CONTROL: readonly Command[] = [
  rulesPublish,
  rulesList,
  rulesShow,
  rulesDiff,
  rulesRamp,
  rulesPause,
  rulesResume,
  rulesRetire,
]
