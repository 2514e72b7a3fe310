/** A few kinds of charts as SVG texts. Colours come from the page's classes c0 to c7. */

export interface Series {
  readonly name: string
  /** Aligned with the labels. */
  readonly values: readonly number[]
}

export interface ChartData {
  readonly labels: readonly string[]
  readonly series: readonly Series[]
  readonly format: (value: number) => string
}

const WIDTH = 720
const HEIGHT = 240
const LEFT = 64
const BOTTOM = 28
const TOP = 12
const LABELS_MAX = 10
export const COLOURS = 8

/** Bars, one for each label, the series on top of each other. */
export function stackedBars(data: ChartData): string {
  const sums = data.labels.map((_, i) => data.series.reduce((sum, { values }) => sum + (values[i] ?? 0), 0))
  const scale = scaleOf(Math.max(0, ...sums))
  const step = (WIDTH - LEFT) / Math.max(1, data.labels.length)
  const width = Math.max(1, Math.min(48, step * 0.7))
  const bars = data.labels.flatMap((label, i) => {
    let below = 0
    return data.series.map(({ name, values }, index) => {
      const value = values[i] ?? 0
      if (value <= 0) return ''
      const y = yOf(below + value, scale)
      const height = yOf(below, scale) - y
      below += value
      const x = LEFT + step * i + (step - width) / 2
      const title = escapeHtml(`${label}, ${name}: ${data.format(value)}`)
      return `<rect class="c${index % COLOURS}" x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}"><title>${title}</title></rect>`
    })
  })
  return svg(`${grid(scale, data.format)}${bars.join('')}${axisLabels(data.labels, step)}`)
}

/** A line for each series; `limit` is drawn across. */
export function lines(data: ChartData, limit?: { readonly value: number; readonly name: string }): string {
  const scale = scaleOf(Math.max(limit?.value ?? 0, ...data.series.flatMap(({ values }) => values)))
  const step = (WIDTH - LEFT) / Math.max(1, data.labels.length)
  const x = (i: number): number => LEFT + step * (i + 0.5)
  const drawn = data.series.map(({ name, values }, index) => {
    const points = values.map((value, i) => `${round(x(i))},${round(yOf(value, scale))}`).join(' ')
    const dots = values.map((value, i) => {
      const title = escapeHtml(`${data.labels[i] ?? ''}, ${name}: ${data.format(value)}`)
      return `<circle class="c${index % COLOURS}" cx="${round(x(i))}" cy="${round(yOf(value, scale))}" r="3"><title>${title}</title></circle>`
    })
    return `<polyline class="s${index % COLOURS}" points="${points}"/>${dots.join('')}`
  })
  const across =
    limit === undefined
      ? ''
      : `<line class="limit" x1="${LEFT}" x2="${WIDTH}" y1="${round(yOf(limit.value, scale))}" y2="${round(yOf(limit.value, scale))}"/>` +
        `<text class="limit" x="${WIDTH - 4}" y="${round(yOf(limit.value, scale) - 5)}" text-anchor="end">${escapeHtml(limit.name)}</text>`
  return svg(`${grid(scale, data.format)}${drawn.join('')}${across}${axisLabels(data.labels, step)}`)
}

export function legend(names: readonly string[]): string {
  const items = names.map((name, i) => `<li><i class="b${i % COLOURS}"></i>${escapeHtml(name)}</li>`)
  return `<ul class="legend">${items.join('')}</ul>`
}

export function escapeHtml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  }
  return text.replaceAll(/[&<>"']/g, (character) => entities[character] ?? character)
}

interface Scale {
  readonly top: number
  readonly step: number
}

/** Four or five lines at round figures: 1, 2 or 5 times a power of ten apart. */
function scaleOf(most: number): Scale {
  if (most <= 0) return { top: 1, step: 1 }
  const rough = most / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
  return { top: Math.ceil(most / step) * step, step }
}

function yOf(value: number, { top }: Scale): number {
  return HEIGHT - BOTTOM - (value / top) * (HEIGHT - BOTTOM - TOP)
}

function grid(scale: Scale, format: (value: number) => string): string {
  const count = Math.round(scale.top / scale.step)
  return Array.from({ length: count + 1 }, (_, i) => {
    const value = i * scale.step
    const y = round(yOf(value, scale))
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH}" y1="${y}" y2="${y}"/><text x="${LEFT - 8}" y="${y}" dy="0.32em" text-anchor="end">${escapeHtml(format(value))}</text>`
  }).join('')
}

function axisLabels(labels: readonly string[], step: number): string {
  const every = Math.ceil(labels.length / LABELS_MAX)
  return labels
    .map((label, i) =>
      i % every === 0
        ? `<text x="${round(LEFT + step * (i + 0.5))}" y="${HEIGHT - 8}" text-anchor="middle">${escapeHtml(label)}</text>`
        : '',
    )
    .join('')
}

function svg(content: string): string {
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img">${content}</svg>`
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}
