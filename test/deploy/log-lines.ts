import { projectFiles } from '../repo/source-files.ts'

/** A line that a process on Kafka may log; `…` stands for what is only known then. */
export interface LogLine {
  readonly path: string
  readonly level: string
  readonly message: string
}

/** What workers and sinks are made of: all of these folders but what only the demo and the simulation have. */
const FOLDERS = /^(pipeline|state|connectors|cli)\//
const ELSEWHERE = /^(connectors\/log\/embedded|connectors\/partner|cli\/demo|cli\/simulate|cli\/bench)\//

const CALL = /\blogger\s*\.(info|warn|error)\(/g
const TEXT = /'([^'\n]*)'|`([^`]*)`/g

/** Each call of a logger at level info or above, with the last text that it is given. */
export function logLines(): readonly LogLine[] {
  return projectFiles()
    .filter(({ path }) => FOLDERS.test(path) && !ELSEWHERE.test(path))
    .flatMap(({ path, text }) =>
      [...text.matchAll(CALL)].map((call) => {
        const said = [...callOf(text, call.index + call[0].length).matchAll(TEXT)].at(-1)
        const message = (said?.[1] ?? said?.[2] ?? '(no text)').replaceAll(/\$\{[^}]*\}/g, '…')
        return { path, level: call[1] ?? '', message }
      }),
    )
}

/** The arguments of a call that begin at `from`. */
function callOf(text: string, from: number): string {
  let depth = 1
  let at = from
  for (; depth > 0 && at < text.length; at++) depth += text[at] === '(' ? 1 : text[at] === ')' ? -1 : 0
  return text.slice(from, at - 1)
}

/** Why a process is not ready, as `reasons` of its health report has it, with `…` for what is only known then. */
export function readinessReasons(): readonly string[] {
  const places = [
    { path: 'pipeline/worker.ts', begin: 'health(): HealthReport {' },
    { path: 'cli/sink-process.ts', begin: 'function healthOf(' },
    { path: 'cli/gateway/gateway-process.ts', begin: 'function healthOf(' },
  ]
  return places.flatMap(({ path, begin }) => {
    const text =
      projectFiles()
        .find((file) => file.path === path)
        ?.text.split(begin)[1] ?? ''
    const body = text.split('return { alive')[0] ?? ''
    return [...body.matchAll(/\['([^']+)'\]|=> `([^`]+)`/g)].map(([, plain, template]) =>
      (plain ?? template ?? '').replaceAll(/\$\{(?:[^{}]|\{[^}]*\})*\}/g, '…'),
    )
  })
}
