/**
 * What a person's command does to a reward in each state: pure, from what is known while the rows are locked. What is not
 * in the table is refused with a sentence, and nothing is changed.
 *
 * O1  a hold is decided once, whoever decides at the same time: only an open review is;
 * O2  money is taken from a pool for what becomes `reserved`, unless it is still taken because the reward is in doubt;
 * O3  responsible gaming stops every way to `reserved`, override or not;
 * O4  what was sent keeps its reservation until somebody says that it was not paid.
 */
import { decideGates, freezeText } from '../../../core/gates.ts'
import { requestIdOf } from '../../../core/ids.ts'
import { type HoldReason, NO_RATE } from '../../../core/model/reward.ts'
import { formatMoney } from '../../../core/money.ts'
import type { Command, Mandate, PoolPosition } from '../../../core/ports/back-office.ts'
import { admitPersonally, type PersonalAdmission } from './admission.ts'
import type { Change, HoldChange, RewardFacts, Verdict } from './facts.ts'

export function decide(command: Command, facts: RewardFacts, position: PoolPosition | undefined): Verdict {
  switch (command.name) {
    case 'approve':
      return approve(command, facts, position)
    case 'reject':
      return openHold(facts) ?? { ...stay(facts), to: 'voided', hold: closed('rejected'), action: 'hold.rejected' }
    case 'assign':
      return assign(facts, command.to)
    case 'unassign':
      return assign(facts, null)
    case 'freeze':
      return freeze(facts)
    case 'release':
      return release(command, facts, position)
    case 'void':
      return voided(facts, command.notPaid)
    case 'resend':
      break
  }
  return resend(command, facts, position)
}

function approve(
  command: Extract<Command, { name: 'approve' }>,
  known: RewardFacts,
  position: PoolPosition | undefined,
): Verdict {
  const decided = openHold(known)
  const { hold } = known
  if (decided !== undefined || hold === null) return decided ?? refused('it has no review')
  const facts = command.cost === undefined ? known : { ...known, cost: command.cost }
  const unpriced = hold.reasons.some(({ by }) => by === NO_RATE)
  if (!unpriced && facts.cost !== known.cost) {
    return refused(`it costs ${formatMoney(known.cost)}; --cost is for one whose cost nobody could work out`)
  }
  if (hold.approvedBy.includes(command.actor)) {
    return {
      kind: 'refused',
      code: 'ONCEWARD_E_HOLD_DECIDED',
      detail: `${command.actor} has approved it already; it needs another person`,
    }
  }
  if (hold.approvals > 1 && facts.issuer === command.actor) {
    return refused(`${command.actor} issued it, so that two others must approve it`)
  }
  if (facts.cost === 0n && unpriced && command.cost === undefined) {
    return refused(
      'nobody could work out what it costs its pool; say it with --cost, or publish the rate and pass --policy',
    )
  }
  const gates = askGates(command, facts)
  if (gates.kind === 'refused') return gates
  if (hold.approvedBy.length + 1 < hold.approvals) {
    const notes = [`it needs ${hold.approvals} approvals and has ${hold.approvedBy.length + 1}`]
    return { ...stay(facts), hold: { kind: 'vote' }, action: 'hold.approval', notes }
  }
  const admission = admitPersonally({ ...requestOf(facts), reviewed: true, override: command.override }, position)
  const change: HoldChange = { kind: 'close', decision: 'approved', vote: true }
  return reserve(facts, { admission, gates, hold: change, action: 'hold.approved' })
}

/** What speaks against a decision; undefined: there is an open review. */
function openHold({ status, hold }: RewardFacts): Verdict | undefined {
  if (status === 'held' && hold !== null && hold.decision === null) return undefined
  if (hold !== null && hold.decision !== null && hold.decision !== 'ended') {
    const why = hold.decisionReason === null ? '' : ` (${hold.decisionReason})`
    const detail = `${hold.decidedBy ?? 'somebody'} ${hold.decision} it at ${hold.decidedAt ?? 'an unknown time'}${why}; it is ${status}`
    return { kind: 'refused', code: 'ONCEWARD_E_HOLD_DECIDED', detail }
  }
  return refused(
    hold === null ? `it is ${status} and was never held` : `it is ${status}: its review ended without a decision`,
  )
}

function assign(facts: RewardFacts, to: string | null): Verdict {
  const decided = openHold(facts)
  if (decided !== undefined) return decided
  if (facts.hold?.assignee === to)
    return { kind: 'unchanged', detail: to === null ? 'it is assigned to nobody' : `it is assigned to ${to}` }
  return { ...stay(facts), hold: { kind: 'assign', to }, action: to === null ? 'hold.unassigned' : 'hold.assigned' }
}

function freeze(facts: RewardFacts): Verdict {
  const { status } = facts
  const frozen: Change = { ...stay(facts), to: 'frozen', action: 'reward.frozen' }
  switch (status) {
    case 'pending':
      return frozen
    case 'held':
      return { ...frozen, hold: closed('ended') }
    case 'reserved':
      // Sent again after it had failed in doubt: it may have been paid (O4).
      return facts.wasSent ? { ...frozen, notes: [inDoubt(facts)] } : { ...frozen, reserves: false }
    case 'sent':
      // A call that is under way cannot be taken back, but there will be no other; its answer still counts as what it is.
      return {
        ...frozen,
        notes: [facts.inFlight ? `a call is under way and may still pay it; ${inDoubt(facts)}` : inDoubt(facts)],
      }
    case 'frozen':
      if (facts.freeze?.by === 'manual') return { kind: 'unchanged', detail: 'it is frozen by hand' }
      return { ...frozen, notes: ['it was frozen by the gates; now only a person can let it go'] }
    case 'failed':
      return refused('it has failed: nothing is sent of it unless somebody sends it again')
    case 'succeeded':
    case 'voided':
    case 'expired':
      break
  }
  return ended(facts)
}

function release(command: Mandate, facts: RewardFacts, position: PoolPosition | undefined): Verdict {
  const { status, hold } = facts
  if (status === 'voided' || status === 'expired') return ended(facts)
  if (status !== 'frozen') return { kind: 'unchanged', detail: `it is ${status}, not frozen` }
  const expiresAt = facts.freeze?.expiresAt ?? null
  // One that is in doubt does not expire: it may have been paid.
  if (!facts.reserves && expiresAt !== null && expiresAt <= facts.now) {
    return refused(
      `its time was up at ${new Date(expiresAt).toISOString()}; issue another one where the player is to have it`,
    )
  }
  const gates = askGates(command, facts)
  if (gates.kind === 'refused') return gates
  // It was under review when it was frozen: it goes back there, whoever lets it go.
  if (!facts.reserves && hold !== null && hold.decision === 'ended') {
    return backToReview({ ...facts, kycRequired: gates.kycRequired }, { reasons: hold.reasons, passed: gates.passed })
  }
  return letGo(command, facts, { position, gates, action: 'reward.released' })
}

/** To its partner, or to the review that it has not had yet: that it was frozen or refused in between replaces none. */
function letGo(
  command: Mandate,
  facts: RewardFacts,
  of: {
    readonly position: PoolPosition | undefined
    readonly gates: Extract<Gates, { kind: 'open' }>
    readonly action: string
  },
): Verdict {
  const { position, gates, action } = of
  const reviewed = facts.wasReserved || facts.hold?.decision === 'approved'
  const holds = reviewed ? [] : reviewsOf(command, facts)
  const admission: PersonalAdmission = facts.reserves
    ? KEPT
    : admitPersonally({ ...requestOf(facts), holds, reviewed, override: command.override }, position)
  if (admission.kind !== 'hold') return reserve(facts, { admission, gates, hold: { kind: 'none' }, action })
  const ahead = { reasons: admission.reasons, passed: gates.passed }
  return { ...backToReview({ ...facts, kycRequired: gates.kycRequired }, ahead), action }
}

function reviewsOf({ reviewFrom }: Mandate, { cost, taskHolds, approvals }: RewardFacts): HoldReason[] {
  const holds = [...taskHolds]
  if (reviewFrom !== null && cost >= reviewFrom && !holds.some(({ by }) => by === 'large_prize')) {
    const detail = `it costs ${formatMoney(cost)}, and from ${formatMoney(reviewFrom)} on somebody looks`
    holds.push({ by: 'large_prize', detail })
  }
  if (approvals > 1 && holds.length === 0)
    holds.push({ by: 'large_prize', detail: 'a prize like this takes two people' })
  return holds
}

function backToReview(
  facts: RewardFacts,
  { reasons, passed }: { readonly reasons: readonly HoldReason[]; readonly passed: readonly string[] },
): Change {
  const notes = [`it is held for a review: ${reasons.map(({ detail }) => detail).join('; ')}`]
  return {
    ...stay(facts),
    to: 'held',
    hold: { kind: 'open', reasons },
    action: 'reward.released',
    passed,
    notes,
  }
}

function voided(facts: RewardFacts, notPaid: boolean): Verdict {
  const change: Change = { ...stay(facts), to: 'voided', reserves: false, action: 'reward.voided' }
  const look = `it may have been paid: look for ${requestIdOf(facts.taskId)} at the partner`
  switch (facts.status) {
    case 'held':
      return { ...change, hold: closed('ended') }
    case 'reserved':
      return facts.wasSent ? refused('it is being sent again; freeze it first') : change
    case 'sent':
      return refused(`it is with the partner; freeze it first, and then ${look}`)
    case 'pending':
      return change
    case 'frozen':
    case 'failed':
      return facts.reserves && !notPaid ? refused(`${look}, and where it was not, say so with --not-paid`) : change
    case 'voided':
      return { kind: 'unchanged', detail: 'it is voided' }
    case 'succeeded':
    case 'expired':
      break
  }
  return ended(facts)
}

function resend(command: Mandate, facts: RewardFacts, position: PoolPosition | undefined): Verdict {
  const { status } = facts
  if (status === 'voided' || status === 'expired') return ended(facts)
  if (status === 'succeeded') return { kind: 'unchanged', detail: `it is paid (${facts.payoutId ?? 'no payout id'})` }
  if (status === 'reserved' || status === 'sent') return { kind: 'unchanged', detail: `it is on its way (${status})` }
  if (status !== 'failed') return refused(`it is ${status}; only what has failed is sent again`)
  const gates = askGates(command, facts)
  if (gates.kind === 'refused') return gates
  return letGo(command, facts, { position, gates, action: 'reward.resent' })
}

/** In doubt: its reservation has stayed since it was sent (O4), so nothing more is taken (O2). */
const KEPT: PersonalAdmission = { kind: 'reserve', overrun: 0n, passed: [] }

type Gates =
  | { readonly kind: 'open'; readonly kycRequired: number; readonly passed: readonly string[] }
  | Extract<Verdict, { kind: 'refused' }>

/** O3. An override lowers what is asked of the player, so that the look at the moment of the call lets it through, too. */
export function askGates(
  { override, kycUnknown }: Mandate,
  facts: Pick<RewardFacts, 'player' | 'kycRequired' | 'now'>,
): Gates {
  const { player, kycRequired, now } = facts
  const decision = decideGates({ player, kycRequired, kycUnknown, at: now })
  if (decision.kind === 'pass') return { kind: 'open', kycRequired, passed: [] }
  const texts = decision.reasons.map(freezeText).join(', ')
  if (decision.reasons.some(({ gate }) => gate === 'rg')) {
    return refused(`its player is protected: ${texts}; nobody can go past responsible gaming`)
  }
  if (!override) return refused(`its player is not verified enough: ${texts}; --override with a reason goes past it`)
  return { kind: 'open', kycRequired: 0, passed: [texts] }
}

function reserve(
  facts: RewardFacts,
  of: {
    readonly admission: PersonalAdmission
    readonly gates: Extract<Gates, { kind: 'open' }>
    readonly hold: HoldChange
    readonly action: string
  },
): Verdict {
  const { admission, gates, hold, action } = of
  if (admission.kind === 'closed') return refused(`${admission.detail}; --override with a reason goes past it`)
  // Of a reward that was reviewed nothing is held again.
  if (admission.kind === 'hold') return refused('it needs a review')
  const passed = [...gates.passed, ...admission.passed]
  const { kycRequired } = gates
  const notes = passed.map((text) => `past: ${text}`)
  return {
    ...stay(facts),
    to: 'reserved',
    reserves: true,
    overrun: admission.overrun,
    kycRequired,
    hold,
    action,
    passed,
    notes,
  }
}

/** A change that changes nothing yet. */
export function stay({
  status,
  reserves,
  cost,
  kycRequired,
}: Pick<RewardFacts, 'status' | 'reserves' | 'cost' | 'kycRequired'>): Change {
  return {
    kind: 'change',
    to: status,
    reserves,
    overrun: 0n,
    cost,
    kycRequired,
    hold: { kind: 'none' },
    freeze: { by: 'manual', reasons: [] },
    action: '',
    passed: [],
    notes: [],
  }
}

function requestOf({ cost, softCap }: RewardFacts): { cost: bigint; softCap: bigint | null; holds: []; closed: null } {
  return { cost, softCap, holds: [], closed: null }
}

function closed(decision: 'rejected' | 'ended'): HoldChange {
  return { kind: 'close', decision, vote: false }
}

function inDoubt({ taskId }: RewardFacts): string {
  return `it may have been paid, so its reservation stays; look for ${requestIdOf(taskId)} at the partner`
}

function ended({ status, payoutId }: RewardFacts): Verdict {
  return refused(status === 'succeeded' ? `it is paid (${payoutId ?? 'no payout id'})` : `it has ended as ${status}`)
}

function refused(detail: string): Extract<Verdict, { kind: 'refused' }> {
  return { kind: 'refused', code: 'ONCEWARD_E_REWARD_REFUSED', detail }
}
