/**
 * The bytes of the user id of an event, found without parsing it; undefined where that is not certain. Every process reads
 * all lines and parses its own ones alone, so this must never answer another id than parsing would: it answers only where
 * nothing is escaped, the name "id" comes once, and it is the first field of the first "user".
 */
export function userIdBytes(line: Buffer): Buffer | undefined {
  // As latin1, for which a text has as many characters as there are bytes, and which is searched faster than a buffer.
  const text = line.toString('latin1')
  const user = text.indexOf('"user"')
  if (user < 0 || text.includes('\\')) return undefined
  const brace = behind(text, user + 6, ':')
  const name = brace < 0 ? -1 : behind(text, brace, '{')
  if (name < 0 || text.indexOf('"id"') !== name || text.includes('"id"', name + 4)) return undefined
  const value = behind(text, name + 4, ':')
  if (value < 0 || text[value] !== '"') return undefined
  const end = text.indexOf('"', value + 1)
  return end < 0 ? undefined : line.subarray(value + 1, end)
}

/** The place behind `mark` and the blanks around it; -1 where something else stands there. */
function behind(text: string, from: number, mark: string): number {
  const at = skipBlanks(text, from)
  return text[at] === mark ? skipBlanks(text, at + 1) : -1
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}
