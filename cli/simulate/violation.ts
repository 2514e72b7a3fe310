/** Something that must never be true was true. */
export class Violation extends Error {
  override name = 'Violation'
}
