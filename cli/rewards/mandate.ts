import { OncewardError } from '../../core/errors.ts'
import { KYC_DEFAULTS, type PolicyVersion } from '../../core/model/policy.ts'
import type { Mandate } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { loadPoliciesFrom } from '../policy/check.ts'
import { publisherOf } from '../rules-control/publisher.ts'
import { policiesOf } from '../../rules/policy-control.ts'

export interface MandateSettings {
  readonly as: string | undefined
  readonly actor: string | undefined
  readonly reason: string | undefined
  readonly override?: boolean
}

/** Names stand in tables and sentences; who needs more has a system of tickets for the reason. */
const NAME_LENGTH_MAX = 128

/** Who does it, why, and by which policy. Throws ONCEWARD_E_SETTING_INVALID. */
export function mandateOf(settings: MandateSettings, version: PolicyVersion | undefined): Mandate {
  const { publishedBy } = publisherOf({ by: settings.as ?? settings.actor, reason: undefined, prefix: undefined })
  if (publishedBy.length > NAME_LENGTH_MAX || publishedBy === 'sink') {
    const message = `--as: "${publishedBy.slice(0, 40)}" is not the name of a person; write at most ${NAME_LENGTH_MAX} characters, and not "sink"`
    throw new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
  }
  const policy = version?.policy
  return {
    actor: publishedBy,
    reason: settings.reason ?? '',
    override: settings.override ?? false,
    kycUnknown: policy?.kyc.unknown ?? KYC_DEFAULTS.unknown,
    reviewFrom: policy?.reviewFrom ?? null,
  }
}

/** The version in effect now of the policy in a file or folder; undefined where none is named. */
export async function policyNow({
  settings,
  clock,
}: Pick<Context<{ readonly policy: string | undefined }>, 'settings' | 'clock'>): Promise<PolicyVersion | undefined> {
  if (settings.policy === undefined) return undefined
  const version = policiesOf(await loadPoliciesFrom(settings.policy)).at(clock.now())
  if (version.policy.version !== '') return version
  const message = `--policy: no version of the policy in ${settings.policy} is in effect at this time; check its meta.effective_from`
  throw new OncewardError('ONCEWARD_E_SETTING_INVALID', message)
}
