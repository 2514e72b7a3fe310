import { watchInterruptions } from '../../cli/interruption.ts'

/** A command that is asked to stop and does not. Started as a process by runtime.test.ts. */
const { signal } = watchInterruptions()
signal.addEventListener('abort', () => void process.stdout.write('asked to stop\n'))
setInterval(() => undefined, 1_000)
process.stdout.write('working\n')
