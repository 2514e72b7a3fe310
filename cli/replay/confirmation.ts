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

/** Whether somebody sits there who can be asked. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}
