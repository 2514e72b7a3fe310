import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import { command } from '../command.ts'
import type { GroupLag } from '../log-tools/lag.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { application, brokers, prefix } from '../settings/shared.ts'

const sinkGroup = setting('sink-group', {
  type: 'text',
  placeholder: 'GROUP',
  help: "the sink's consumer group; <application>.sink where it is left out",
})

const wait = setting('wait', { type: 'flag', help: 'wait until nothing is left to do' })

const timeout = setting('timeout', {
  type: 'duration',
  min: 1,
  help: 'how long --wait waits before it fails; without end where it is left out',
})

const json = setting('json', { type: 'flag', help: 'print JSON instead of a table' })

export const lag = command({
  name: 'lag',
  group: 'Look inside',
  summary: 'show how many records are still to be processed',
  description: `
    For each partition of events.raw: where the workers of the application stand, where the records end, and how many
    records lie between. The same for reward.tasks and the sink, once the sink has begun. Records are counted, not
    offsets, which have gaps; only far from the end a figure is an upper bound ("at most").

    With --wait it ends with exit code 0 once everything is zero: every event is processed, and every reward task stands in
    the ledger (the wallet may still be being called). With --timeout it fails where that takes too long.`,
  examples: [
    { line: 'onceward lag --brokers localhost:9092 --application season', says: 'one look' },
    {
      line: 'onceward lag --brokers localhost:9092 --application season --wait --timeout 5m',
      says: 'in a script: go on when all is processed',
    },
  ],
  settings: [brokers, application, prefix, wait, timeout, json, sinkGroup, ...KAFKA_SECURITY],
  async run(context) {
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    const { lagTable } = await import('../log-tools/lag.ts')
    const { observeLag, waitForNoLag } = await import('../log-tools/lag-watch.ts')
    const { settings, terminal } = context
    const groups = {
      topics: topicNames(settings.prefix),
      workers: settings.application,
      sink: settings.sinkGroup ?? `${settings.application}.sink`,
      // A group that somebody names is one that must be waited for, begun or not.
      sinkExpected: settings.sinkGroup !== undefined,
    }
    const look = (log: Log): Promise<readonly GroupLag[]> =>
      settings.wait ? waitForNoLag(log, groups, { ...context, timeoutMs: settings.timeout }) : observeLag(log, groups)
    const lags = await withKafka(context, look, { patienceMs: LOOK_PATIENCE_MS })
    const total = lags.reduce((sum, each) => sum + each.records, 0)
    await terminal.print(settings.json ? `${JSON.stringify({ lag: total, groups: lags })}\n` : lagTable(lags))
  },
})
