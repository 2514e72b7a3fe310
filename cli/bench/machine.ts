import { cpus, release, totalmem, type } from 'node:os'

/** The machine's shape, in one line: figures without it mean nothing. */
export function machineShape(): string {
  const processors = cpus()
  const memory = (totalmem() / 2 ** 30).toFixed(1)
  const model = processors[0]?.model.trim() ?? 'unknown processor'
  return `${processors.length} × ${model}, ${memory} GiB memory, ${type()} ${release()}, Node ${process.version}`
}
