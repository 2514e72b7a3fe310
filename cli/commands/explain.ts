import { OncewardError } from '../../core/errors.ts'
import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { BROKER_ADDRESS, prefix } from '../settings/shared.ts'

const user = setting('user', { type: 'text', required: true, placeholder: 'ID', help: 'the player' })

const rule = setting('rule', { type: 'text', placeholder: 'ID', help: 'only this rule; all where it is left out' })

const out = setting('out', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder that onceward run has written, to look into instead of Kafka',
})

const brokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers, to look into the topics scores, reward.tasks and dlq',
  pattern: BROKER_ADDRESS,
})

const rules = setting('rules', {
  type: 'path',
  placeholder: 'DIR',
  help: 'the rules of the run, to say what the next reward needs; from Kafka the published ones are known',
})

const from = setting('from', { type: 'text', placeholder: 'WHEN', help: 'only events from this day or time on (UTC)' })

const to = setting('to', { type: 'text', placeholder: 'WHEN', help: 'only events before this day or time (UTC)' })

const latest = setting('latest', {
  type: 'integer',
  default: '10',
  min: 0,
  max: 100_000,
  help: 'how many events of each rule are listed, the latest; with --json all are',
})

const json = setting('json', { type: 'flag', help: 'print one JSON object instead of sentences' })

export const explain = command({
  name: 'explain',
  group: 'Look inside',
  summary: 'say why a player did or did not get points and rewards',
  description: `
    For one player and each rule: which events counted and what each scored, what the caps took away, how far the next
    reward is, which rewards were issued and what paying them asks for, which were not given and why; and which events were
    set aside before any rule saw them. In sentences that can be read out to the player.

    It looks into the records that workers wrote: on Kafka, or in the folder of onceward run. What retention has deleted
    it cannot know. An event that no rule matched leaves no score; onceward rules test shows which filter it fails.`,
  examples: [
    {
      line: 'onceward explain --user player_1 --out out --rules examples/rules',
      says: 'all about one player of a run',
    },
    {
      line: 'onceward explain --user u_123 --rule r_points_winmult_v2 --from 2025-11-03 --to 2025-11-04 --brokers localhost:9092',
      says: 'one rule on one day, from Kafka',
    },
    { line: 'onceward explain --user u_123 --brokers localhost:9092 --json', says: 'the same for a program' },
  ],
  settings: [user, rule, out, brokers, prefix, rules, from, to, latest, json, ...KAFKA_SECURITY],
  async run(context) {
    const { settings, signal, terminal } = context
    const { explain: explainRecords } = await import('../explain/explanation.ts')
    const { sentences } = await import('../explain/sentences.ts')
    const { recordsOfRun, recordsOnLog } = await import('../explain/sources.ts')
    const { dayOrTime } = await import('../settings/day-or-time.ts')
    const { loadRulesFrom } = await import('../load-rules.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    const { versionsOf } = await import('../../rules/control.ts')
    const { topicNames } = await import('../../core/topics.ts')
    const { user: userId, rule: ruleId, brokers: addresses } = settings
    const question = {
      userId,
      ruleId,
      fromMs: dayOrTime('--from', settings.from),
      toMs: dayOrTime('--to', settings.to),
    }
    if ((settings.out === undefined) === (addresses === undefined)) {
      throw new OncewardError(
        'ONCEWARD_E_USAGE',
        'name where to look: either --out DIR of a run, or --brokers HOST:PORT',
      )
    }
    const given = settings.rules === undefined ? undefined : versionsOf(await loadRulesFrom(settings.rules))
    const { records, versions } =
      addresses === undefined
        ? { records: await recordsOfRun(settings.out ?? '', userId, signal), versions: [] }
        : await withKafka(
            { ...context, settings: { ...settings, brokers: addresses } },
            (log) => recordsOnLog(log, topicNames(settings.prefix), userId),
            { patienceMs: LOOK_PATIENCE_MS },
          )
    const explanation = explainRecords(records, given ?? versions, question)
    await terminal.print(settings.json ? `${JSON.stringify(explanation)}\n` : sentences(explanation, settings.latest))
  },
})
