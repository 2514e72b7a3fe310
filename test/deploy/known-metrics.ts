import { createMetrics } from '../../connectors/observe/metrics.ts'

/** What a series of one name carries. */
export interface KnownMetric {
  readonly type: string
  readonly labels: ReadonlySet<string>
}

/** What Prometheus itself adds to each series. */
const ADDED_LABELS = ['job', 'instance', 'role']

/**
 * The series that a role really shows, by name (a histogram's three are told apart), with the labels that they take of
 * `candidates`: each metric is asked for itself, so that this cannot drift from the code.
 */
export async function knownMetrics(candidates: readonly string[]): Promise<ReadonlyMap<string, KnownMetric>> {
  const metrics = createMetrics({ role: 'test' })
  for (const metric of Object.values(metrics) as unknown[]) {
    for (const label of candidates) if (typeof metric === 'object') touch(metric as Record<string, unknown>, label)
  }
  const { body } = await metrics.page()
  const known = new Map<string, KnownMetric>([['up', { type: 'gauge', labels: new Set(ADDED_LABELS) }]])
  for (const [, name = '', type = ''] of body.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    for (const suffix of suffixes) {
      known.set(name + suffix, { type, labels: new Set([...ADDED_LABELS, ...labelsIn(body, name + suffix)]) })
    }
  }
  return known
}

/** prom-client refuses a label that the metric was not made with. */
function touch(metric: Record<string, unknown>, label: string): void {
  for (const method of ['add', 'set', 'observe']) {
    const call = metric[method] as ((value: number, labels: object) => void) | undefined
    try {
      call?.(1, { [label]: 'x' })
    } catch (error) {
      if (!/label/i.test(String(error))) throw error
    }
  }
}

function labelsIn(page: string, series: string): readonly string[] {
  const lines = [...page.matchAll(new RegExp(`^${series}\\{(.*)\\} `, 'gm'))].map(([, inner = '']) => inner)
  return lines.flatMap((inner) => [...inner.matchAll(/(\w+)="/g)].flatMap(([, label]) => label ?? []))
}

/** A query's series, with the labels that it filters by. */
export function selectorsOf(query: string): readonly { readonly series: string; readonly labels: readonly string[] }[] {
  const withoutGrouping = query.replaceAll(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, ' ')
  const words = withoutGrouping.matchAll(/\b([a-z][a-z0-9]*_[a-z0-9_]+|up)\b(?!\s*\()(?:\{([^}]*)\})?/g)
  return [...words].map(([, series = '', inner = '']) => ({
    series,
    labels: [...inner.matchAll(/(\w+)\s*[=!]/g)].flatMap(([, label]) => label ?? []),
  }))
}

/** The labels that it groups by. */
export function groupingOf(query: string): readonly string[] {
  return [...query.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(',').map((one) => one.trim()))
}
