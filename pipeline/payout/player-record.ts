import type { JsonObject } from '../../core/model/event.ts'
import type { Restriction } from '../../core/model/player.ts'
import type { PlayerChange } from '../../core/ports/ledger.ts'
import { isAbsent, kycLevel, list, object, optionalTime, text, time } from './fields.ts'

/** Reads a `player.changed`; throws a sentence where it is none. */
export function readPlayerChange(value: JsonObject): PlayerChange {
  const seq = value['seq']
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 0) {
    throw new Error('seq must be a whole number of at least 0')
  }
  const level = value['kyc_level']
  return {
    userId: text(value['user_id'], 'user_id'),
    player: {
      kycLevel: isAbsent(level) ? null : kycLevel(level, 'kyc_level'),
      restrictions: list(value['restrictions'], 'restrictions').map((item) =>
        restriction(object(item, 'a restriction')),
      ),
    },
    asOf: time(value['as_of'], 'as_of'),
    seq,
  }
}

function restriction(value: JsonObject): Restriction {
  const until = optionalTime(value['until'], 'until')
  return {
    kind: text(value['kind'], 'kind'),
    since: Date.parse(time(value['since'], 'since')),
    until: until === null ? null : Date.parse(until),
  }
}
