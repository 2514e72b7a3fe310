/** A line of Markdown that a reader may type or follow. */
export interface Found {
  readonly line: number
  readonly text: string
}

/** The commands in blocks marked `sh`: one for each line, continuation lines joined, comments left out. */
export function commandsIn(markdown: string): readonly Found[] {
  const found: Found[] = []
  let inside = false
  let pending = ''
  markdown.split('\n').forEach((raw, index) => {
    if (raw.startsWith('```')) {
      inside = raw.trim() === '```sh'
      return
    }
    if (!inside || raw.trim() === '' || raw.startsWith('#')) return
    const text = pending + raw.replace(/\s+#\s.*$/, '').trim()
    pending = text.endsWith('\\') ? text.slice(0, -1) : ''
    if (pending === '') found.push({ line: index + 1, text })
  })
  return found
}

/** The words behind `onceward` of a shell command, up to a pipe; undefined where it is another program. */
export function oncewardArguments(text: string): readonly string[] | undefined {
  const words = (text.split(/\s[|>&]/)[0] ?? '').trim().split(/\s+/)
  while (/^[A-Z_]+=/.test(words[0] ?? '')) words.shift()
  if (words[0] === 'npm' && words[1] === 'run' && words[2] === 'demo') return ['demo', ...words.slice(4)]
  if (words[0] === 'npx') words.shift()
  return words[0] === 'onceward' ? words.slice(1) : undefined
}

/** Code within a line that begins with a command of Onceward. */
export function mentionsIn(markdown: string): readonly Found[] {
  return markdown
    .split('\n')
    .flatMap((raw, index) =>
      [...raw.matchAll(/`((?:npx )?onceward [a-z][^`]*|npm run demo[^`]*)`/g)].flatMap(([, text]) =>
        text === undefined || text.includes('<') ? [] : [{ line: index + 1, text }],
      ),
    )
}

/** The targets of links that lead into the repository. */
export function linksIn(markdown: string): readonly Found[] {
  return markdown.split('\n').flatMap((raw, index) =>
    [...raw.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target = '']) => {
      const path = target.split('#')[0] ?? ''
      return path === '' || target.includes('://') ? [] : [{ line: index + 1, text: path }]
    }),
  )
}

/** Files and folders of ours named in code, such as `pipeline/task.ts`; patterns with a star are left out. */
export function pathsIn(markdown: string, folders: readonly string[]): readonly Found[] {
  const pattern = new RegExp(`\`((?:${folders.join('|')})/[\\w./-]*)\``, 'g')
  return markdown
    .split('\n')
    .flatMap((raw, index) =>
      [...raw.matchAll(pattern)].flatMap(([, text]) => (text === undefined ? [] : [{ line: index + 1, text }])),
    )
}
