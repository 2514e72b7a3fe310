import type { Context } from '../command.ts'
import { EXIT } from '../report.ts'
import { type KafkaSettings, withKafka } from '../runtime.ts'
import { connectionFlags } from './connection-flags.ts'
import { runGatewayBench } from './gateway.ts'
import { gatewayFindings, gatewayJson, gatewayReport } from './gateway-report.ts'
import { leftOnKafka, withBenchPlace } from './place.ts'

type GatewayBenchSettings = KafkaSettings & {
  readonly requestRate: number
  readonly rateSeconds: number
  readonly batchSeconds: number
  readonly warmUp: number
  readonly atOnce: number
  readonly partitions: number
  readonly audited: boolean
  readonly dir: string | undefined
  readonly json: boolean
}

const BATCH = 100

/** Answers 1 where a goal was missed. */
export async function benchGateways(context: Context<GatewayBenchSettings>): Promise<number> {
  const { clock, settings, signal, terminal } = context
  const { requestRate: rate, rateSeconds, batchSeconds, warmUp: warmUpSeconds, atOnce, partitions, audited } = settings
  return withBenchPlace(context, async (place) => {
    const figures = await withKafka(context, async (log) => {
      try {
        return await runGatewayBench({
          ...place,
          log,
          clock,
          signal,
          partitions,
          audited,
          connection: connectionFlags(settings),
          phases: [
            { kind: 'singles', rate, warmUpSeconds, seconds: rateSeconds },
            { kind: 'batches', size: BATCH, atOnce, warmUpSeconds, seconds: batchSeconds },
          ],
          onPhase: (phase) => terminal.note(`${phase} ...`),
        })
      } finally {
        terminal.note(leftOnKafka(place))
      }
    })
    await terminal.print(settings.json ? gatewayJson(figures) : gatewayReport(figures))
    return gatewayFindings(figures).length > 0 ? EXIT.failed : EXIT.fine
  })
}
