/** Thrown when an invariant of Onceward itself is broken: always a bug, never bad input (bad input is rejected). */
export class InvariantError extends Error {
  override name = 'InvariantError'
}

/** Checks an invariant, in production too. `message` names the invariant and the values seen. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message)
}

/** Marks a branch that the types say cannot be reached. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable: ${JSON.stringify(value)}`)
}
