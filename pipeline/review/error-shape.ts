const VALUE = /\b(is|holds|token) (?:the text )?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/g
/** Node quotes what it could not parse as it came, with quotes inside of quotes. */
const NOT_JSON = /, .*? is not valid JSON/gs
const REWARD_ID = /\b(?:rt|rid)_[0-9a-f]{6,}\b/g
const TIME = /\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)/g
const NUMBER = /(?<![\w.])-?\d+(?:\.\d+)?(?!\w|\.\w)/g

/**
 * What two details of the same error have in common: the sentence without what differs from letter to letter. Values, times,
 * numbers and ids of rewards become `…`; names of fields and of events stay.
 */
export function errorShape(detail: string): string {
  return detail
    .replaceAll(NOT_JSON, ' is not valid JSON')
    .replaceAll(VALUE, '$1 …')
    .replaceAll(REWARD_ID, '…')
    .replaceAll(TIME, '…')
    .replaceAll(NUMBER, '…')
}
