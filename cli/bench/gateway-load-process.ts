import { assert } from '../../core/assert.ts'
import { systemClock as clock } from '../../core/clock.ts'
import { messageOf } from '../../core/errors.ts'
import type { GatewayJob, GatewayMessage } from './gateway-job.ts'
import { runPhase } from './gateway-load.ts'

/** The process of the bench that makes the load: is sent its job, and ends with whoever started it. */
function main(): void {
  const send = process.send?.bind(process)
  assert(send !== undefined, 'this file is started by cli/bench/gateway.ts')
  // Ctrl-C reaches every process of a terminal; who started this one decides, and its end ends it too.
  process.on('SIGINT', () => undefined)
  process.once('disconnect', () => process.exit())
  process.once('message', (job: GatewayJob) => {
    work(job, (message) => void send(message)).catch((error: unknown) => {
      send({ kind: 'failed', message: messageOf(error) } satisfies GatewayMessage)
    })
  })
}

async function work(job: GatewayJob, tell: (message: GatewayMessage) => void): Promise<void> {
  let made = 0
  for (const phase of job.phases) {
    tell({ kind: 'phase', phase: phase.kind })
    const figures = await runPhase({ job, clock }, phase, made)
    // Ids of a request that failed are not used again: what became of it is not known.
    made += 10_000_000
    tell({ kind: 'measured', figures })
  }
}

main()
