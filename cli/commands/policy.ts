import type { Command } from '../command.ts'
import { policyCheck } from './policy-check.ts'
import { policyCost } from './policy-cost.ts'
import { policyList } from './policy-list.ts'
import { policyPublish } from './policy-publish.ts'
import { policyShow } from './policy-show.ts'

/** The commands around the payout policy, in the order of the help page. A new one is added here and nowhere else. */
export const POLICY: readonly Command[] = [policyCheck, policyPublish, policyList, policyShow, policyCost]
