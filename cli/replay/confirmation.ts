import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Asks on the terminal; true only where the answer is `yes`. undefined where there is no terminal to ask on. */
export async function confirm(question: string, signal: AbortSignal): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    lines.setPrompt(`${question} [yes/no] `)
    lines.prompt()
    const [answer] = (await Promise.race([once(lines, 'line', { signal }), once(lines, 'close', { signal })])) as [
      string?,
    ]
    return answer?.trim().toLowerCase() === 'yes'
  } finally {
    lines.close()
  }
}

/** Whether a command may go on after its dry run: told so by --yes, or by somebody on the terminal. */
export async function agreed(
  { yes }: { readonly yes: boolean },
  question: string,
  signal: AbortSignal,
): Promise<boolean> {
  return yes || (canAsk() && (await confirm(question, signal)))
}

/** Whether somebody sits there who can be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}
