import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { invocationOf } from './command-line.ts'
import { mountsOf, ownServices, readCompose } from './compose.ts'
import { imageEnvironment } from './image.ts'
import { groupingOf, knownMetrics, selectorsOf } from './known-metrics.ts'
import { PROJECT, textOf } from './project.ts'

interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly datasource?: { readonly uid: string }
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

interface ScrapeJob {
  readonly job_name: string
  readonly static_configs: readonly { readonly targets: readonly string[] }[]
}

const DASHBOARD = 'deploy/grafana/dashboards/onceward.json'
const dashboard = JSON.parse(textOf(DASHBOARD)) as { uid: string; panels: readonly Panel[] }
const panels = dashboard.panels.filter(({ type }) => type !== 'row')
const prometheus = parse(textOf('deploy/prometheus/prometheus.yml')) as {
  rule_files: readonly string[]
  scrape_configs: readonly ScrapeJob[]
}
const alerts = (parse(textOf('deploy/prometheus/alerts.yml')) as { groups: { rules: Alert[] }[] }).groups.flatMap(
  ({ rules }) => rules,
)
const compose = readCompose()

const queries = [
  ...panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr, legendFormat }) => ({ where: title, query: expr, legend: legendFormat })),
  ),
  ...alerts.map(({ alert, expr, annotations }) => ({ where: alert, query: expr, legend: annotations.summary })),
]
const named = queries.flatMap(({ query }) => [
  ...groupingOf(query),
  ...selectorsOf(query).flatMap(({ labels }) => labels),
])
const known = await knownMetrics([...new Set(named)])

describe('what Grafana and the alerts ask for', () => {
  test.each(queries)('$where: its metrics are ones that Onceward has, with these labels', ({ query, legend }) => {
    const selectors = selectorsOf(query)
    expect(selectors).not.toHaveLength(0)
    const shown = [...legend.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].flatMap(([, label]) => label ?? [])
    const grouping = groupingOf(query)
    for (const { series, labels } of selectors) {
      const metric = known.get(series)
      expect([...known.keys()]).toContain(series)
      const carried = [...(metric?.labels ?? []), 'le']
      expect(carried).toEqual(expect.arrayContaining([...labels, ...grouping]))
      // A legend can show what the grouping leaves over, or all labels where there is none.
      expect(grouping.length > 0 ? grouping : carried).toEqual(expect.arrayContaining(shown))
    }
  })

  test.each(queries)('$where: counters are looked at as rates, and quantiles by bucket', ({ query }) => {
    for (const { series } of selectorsOf(query)) {
      const counted = known.get(series)?.type !== 'gauge'
      const asRate = new RegExp(`(rate|increase)\\(${series}(\\{[^}]*\\})?\\[`).test(query)
      expect({ series, asRate }).toEqual({ series, asRate: counted })
    }
    if (query.includes('histogram_quantile')) expect(groupingOf(query)).toContain('le')
    expect(query.match(/_bucket/g)?.length ?? 0).toBe(query.match(/histogram_quantile/g)?.length ?? 0)
  })

  test('the dashboard shows every metric of Onceward', () => {
    const used = new Set(
      panels
        .flatMap(({ targets = [] }) => targets.flatMap(({ expr }) => selectorsOf(expr)))
        .map(({ series }) => series.replace(/_(bucket|sum|count)$/, '')),
    )
    const ours = [...known.keys()].filter((name) => name.startsWith('onceward_'))
    expect(ours.filter((name) => !used.has(name.replace(/_(bucket|sum|count)$/, '')))).toEqual([])
  })
})

describe('the dashboard', () => {
  test('each panel has an id and a place of its own', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24)
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`)
    })
    expect(new Set(cells).size).toBe(cells.length)
  })

  test('each panel says what it shows, from the data source that is provisioned', () => {
    const { datasources } = parse(textOf('deploy/grafana/provisioning/datasources/prometheus.yml')) as {
      datasources: readonly { uid: string; url: string }[]
    }
    const [source] = datasources
    for (const { title, description, datasource } of panels) {
      expect({ title, uid: datasource?.uid }).toEqual({ title, uid: source?.uid })
      expect(`${title}: ${description ?? ''}`.length).toBeGreaterThan(title.length + 20)
    }
    expect(Object.keys(compose.services)).toContain(new URL(source?.url ?? '').hostname)
  })

  test('Grafana finds it where compose mounts it', () => {
    const { providers } = parse(textOf('deploy/grafana/provisioning/dashboards/onceward.yml')) as {
      providers: readonly { options: { path: string } }[]
    }
    const folder = providers[0]?.options.path
    const grafana = compose.services['grafana']
    const mount = grafana && mountsOf(grafana).find(({ target }) => target === folder)
    expect(mount?.source).toBe('./deploy/grafana/dashboards')
    expect(grafana?.environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']).toBe(`${folder}/onceward.json`)
  })
})

describe('Prometheus', () => {
  test('it scrapes each service that serves metrics, on the port that it serves on, and nothing else', async () => {
    const serving: string[] = []
    for (const [name, { command = [], environment = {} }] of ownServices(compose)) {
      // Secrets do not matter here.
      const argv = command.filter((word) => !word.startsWith('--config'))
      const { settings } = await invocationOf(argv[0] === 'sink' ? [...argv, '--db=postgres://x/y'] : argv, {
        environment: { ...imageEnvironment(), ...environment },
        readFile: () => Promise.reject(new Error('no file is needed')),
      })
      const port = settings['metricsPort']
      if (typeof port === 'number') serving.push(`${name}:${port}`)
    }
    const job = prometheus.scrape_configs.find(({ job_name }) => job_name === 'onceward')
    expect(job?.static_configs.flatMap(({ targets }) => targets).toSorted()).toEqual(serving.toSorted())
  })

  test('it loads the alerts, from the folder that compose mounts', () => {
    const [service] = [compose.services['prometheus']]
    const folder = service && mountsOf(service).find(({ target }) => target === '/etc/prometheus')?.source
    expect(readdirSync(join(PROJECT, folder ?? ''))).toEqual(expect.arrayContaining([...prometheus.rule_files]))
  })

  test.each(alerts)('$alert: has a severity, says what it means, and stands in docs/OPERATIONS.md', (alert) => {
    expect(alert.labels.severity).toMatch(/^(info|warning|critical)$/)
    expect(alert.annotations.summary.length).toBeGreaterThan(10)
    expect(alert.annotations.description.length).toBeGreaterThan(10)
    expect(textOf('docs/OPERATIONS.md')).toContain(`\`${alert.alert}\``)
  })

  test('each metric of Onceward is explained in docs/OPERATIONS.md, and none that there is not', () => {
    const text = textOf('docs/OPERATIONS.md')
    const base = (name: string): string => name.replace(/_(bucket|sum|count)$/, '')
    const ours = new Set([...known.keys()].filter((name) => name.startsWith('onceward_')).map(base))
    const told = new Set([...text.matchAll(/\bonceward_[a-z_]+\b/g)].map(([name]) => base(name)))
    expect([...told].toSorted()).toEqual([...ours].toSorted())
  })
})
