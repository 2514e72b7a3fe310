/** What of the process decides how the demo is shown. */
export interface TerminalFacts {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stderr: { readonly rows?: number }
}

export interface Drawing {
  readonly live: boolean
  readonly color: boolean
  readonly unicode: boolean
  readonly rows: () => number
}

/** Colours as https://no-color.org asks; a terminal that says it is dumb is taken at its word. */
export function drawingOf({ env, stderr }: TerminalFacts, isTty: boolean): Drawing {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || ''
  return {
    live: isTty && env['TERM'] !== 'dumb',
    color: (env['NO_COLOR'] ?? '') === '',
    unicode: /utf-?8/i.test(locale),
    rows: () => stderr.rows ?? 24,
  }
}
