/** Numbers by value, the rest by letters: 2.0 < 2.1-beta < 10.0. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true }) || (a === b ? 0 : a < b ? -1 : 1)
}
