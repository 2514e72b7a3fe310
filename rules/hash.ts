/** FNV-1a, 32 bits: http://www.isthe.com/chongo/tech/comp/fnv. */
const OFFSET_BASIS = 0x811c9dc5
const PRIME = 0x01000193

/** How many parts of the players are told apart: a hundredth of a percent each. */
export const BUCKETS = 10_000

/**
 * Which of the BUCKETS a player falls in under a seed, from 0: GrowthBook's hash version 2, so that its SDKs and whoever
 * analyses with it come to the same. It depends on nothing else, so a player stays where they are. Ids are hashed by
 * UTF-16 code units, as its SDK for JavaScript does.
 */
export function bucketOf(seed: string, userId: string): number {
  return fnv1a(String(fnv1a(userId, fnv1a(seed)))) % BUCKETS
}

/** Goes on from `state`, so that a text can be hashed in parts. Unsigned. */
function fnv1a(text: string, state = OFFSET_BASIS): number {
  let hash = state
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), PRIME)
  return hash >>> 0
}
