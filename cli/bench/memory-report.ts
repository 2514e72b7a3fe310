import { formatCount } from '../progress.ts'
import { machineShape } from './machine.ts'
import type { MemoryCounts, MemoryFigures } from './memory.ts'

/** What a worker may take with a million users and five million ids, MiB. */
const BOUND_MIB = 600

/** Which counts do not add up; empty where all do. */
export function memoryFindings({ expected, came }: Pick<MemoryFigures, 'expected' | 'came'>): readonly string[] {
  return (Object.keys(expected) as (keyof MemoryCounts)[])
    .filter((name) => came[name] !== expected[name])
    .map((name) => `${formatCount(came[name])} ${name} came, and ${formatCount(expected[name])} had to`)
}

export function memoryReport(
  figures: MemoryFigures,
  about: { readonly users: number; readonly ids: number; readonly partitions: number },
): string {
  const mib = figures.residentBytesMax / 2 ** 20
  const findings = memoryFindings(figures).map((finding) => `NOT AS ASKED: ${finding}\n`)
  return `memory of one worker, ${about.partitions} partitions
${machineShape()}

users               ${formatCount(about.users)}
remembered ids      ${formatCount(about.ids)}
events/s            ${formatCount(figures.eventsPerSecond)}
largest RSS, MiB    ${mib.toFixed(0)}  (${mib < BOUND_MIB ? 'kept' : 'MISSED'}: under ${BOUND_MIB})

${findings.join('')}Largest RSS: ${figures.source}. Events were waiting on Kafka, so the worker ran as fast as it could; the broker, the
machine and its page cache were shared. One run: repeat it to see how far the figures vary.
`
}
