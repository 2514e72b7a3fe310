/**
 * The player's protection as SQL asks for it, at the moment of the call and when it looks whether a frozen reward may go.
 * The same answers as decideGates of core/gates.ts (a test compares them), with one difference: a player whose level nobody
 * has told passes here where the stream has judged with what counts for unknown ones before it made the task, which is where
 * kyc_unknown is null.
 */
import { type SQLQuery, sql } from '@databases/pg'
import { type Restriction } from '../../core/model/player.ts'
import type { PlayerChange } from '../../core/ports/ledger.ts'

/** Over `p` (player_state, or nothing) and `l` (reward_ledger). */
const RESTRICTED = sql`COALESCE(p.restricted_until > now(), false)`
const KYC_LOW = sql`COALESCE(COALESCE(p.kyc_level, l.kyc_unknown) < l.kyc_required, false)`

export const STOPPED = sql`(${RESTRICTED} OR ${KYC_LOW})`

/** FreezeReason[] of core/gates.ts; null where nothing stops it. */
export const STOP_REASONS = sql`
  CASE WHEN ${STOPPED} THEN
    COALESCE((
      SELECT jsonb_agg(jsonb_build_object('gate', 'rg', 'restriction', r->'kind', 'until', r->'until') ORDER BY n)
      FROM jsonb_array_elements(p.restrictions) WITH ORDINALITY AS each(r, n)
      WHERE r->>'until' IS NULL OR (r->>'until')::timestamptz > now()
    ), '[]') ||
    CASE WHEN ${KYC_LOW}
      THEN jsonb_build_array(jsonb_build_object('gate', 'kyc', 'required', l.kyc_required, 'level', p.kyc_level))
      ELSE '[]' END
  END`

/**
 * Keeps the latest of what is known of each player: of two changes the one with the later time counts, ties by seq, in
 * whatever order they come. By user id, so that two sinks never wait for each other.
 */
export function playersStatement(changes: readonly PlayerChange[]): SQLQuery {
  const latest = [...latestOf(changes).values()]
  const column = <T>(read: (change: PlayerChange) => T): T[] => latest.map(read)
  return sql`
    INSERT INTO player_state AS p (user_id, kyc_level, restrictions, restricted_until, as_of, seq)
    SELECT user_id, kyc_level, restrictions::jsonb, restricted_until, as_of, seq FROM unnest(
      ${column((c) => c.userId)}::text[], ${column((c) => c.player.kycLevel)}::smallint[],
      ${column((c) => JSON.stringify(c.player.restrictions.map(stored)))}::text[],
      ${column((c) => endOf(c.player.restrictions))}::timestamptz[],
      ${column((c) => c.asOf)}::timestamptz[], ${column((c) => c.seq)}::bigint[]
    ) AS c(user_id, kyc_level, restrictions, restricted_until, as_of, seq)
    ORDER BY user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET
      kyc_level = EXCLUDED.kyc_level, restrictions = EXCLUDED.restrictions,
      restricted_until = EXCLUDED.restricted_until, as_of = EXCLUDED.as_of, seq = EXCLUDED.seq, updated_at = now()
    WHERE (EXCLUDED.as_of, EXCLUDED.seq) > (p.as_of, p.seq)`
}

function latestOf(changes: readonly PlayerChange[]): ReadonlyMap<string, PlayerChange> {
  const latest = new Map<string, PlayerChange>()
  for (const change of changes) {
    const before = latest.get(change.userId)
    if (before === undefined || isLater(change, before)) latest.set(change.userId, change)
  }
  return latest
}

function isLater(one: PlayerChange, other: PlayerChange): boolean {
  const [at, before] = [Date.parse(one.asOf), Date.parse(other.asOf)]
  return at > before || (at === before && one.seq > other.seq)
}

function stored({ kind, since, until }: Restriction): { kind: string; since: string; until: string | null } {
  return { kind, since: new Date(since).toISOString(), until: until === null ? null : new Date(until).toISOString() }
}

/** The end of the last restriction; `infinity` where one has none; null: there is no restriction. */
function endOf(restrictions: readonly Restriction[]): string | null {
  if (restrictions.length === 0) return null
  let end = Number.NEGATIVE_INFINITY
  for (const { until } of restrictions) {
    if (until === null) return 'infinity'
    end = Math.max(end, until)
  }
  return new Date(end).toISOString()
}
