import { command } from '../command.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { BROKER_ADDRESS, db, prefix } from '../settings/shared.ts'

const brokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers, to compare reward.tasks too; without them the topic is left out',
  pattern: BROKER_ADDRESS,
})

const application = setting('application', {
  type: 'text',
  placeholder: 'ID',
  help: 'application whose sinks book; their group is <application>.sink, or onceward.sink without one',
})

const group = setting('group', {
  type: 'text',
  placeholder: 'GROUP',
  help: 'consumer group of the sinks, where it has another name: what lies beyond its position is not missing yet',
})

const statement = setting('statement', {
  type: 'list',
  placeholder: 'FILE,...',
  help: "the wallet's statement: CSV with a header or NDJSON, gzip or not; - is the standard input",
})

const columns = setting('columns', {
  type: 'list',
  placeholder: 'FIELD=NAME,...',
  help: 'what the statement calls payout_id, request_id, user_id, type, amount, currency, status, paid_at, where it has other names',
})

const states = setting('states', {
  type: 'list',
  placeholder: 'WORD=STATE,...',
  help: 'what other words in its status column mean: paid, pending, failed or reversed',
})

const delimiter = setting('delimiter', {
  type: 'text',
  placeholder: 'CHARACTER',
  help: 'between the fields of a CSV statement, tab for a tab; its header decides where it is left out',
})

const decimalComma = setting('decimal-comma', { type: 'flag', help: 'amounts of the statement are written 1.234,50' })

const period = setting('period', {
  type: 'text',
  placeholder: 'WHEN',
  help: 'only what was earned or paid in this year, month or day (UTC): 2025, 2025-11, 2025-11-03',
})

const from = setting('from', { type: 'text', placeholder: 'WHEN', help: 'only from this day or time on (UTC)' })

const until = setting('until', { type: 'text', placeholder: 'WHEN', help: 'only before this day or time (UTC)' })

const partners = setting('of-partners', {
  type: 'list',
  placeholder: 'NAME,...',
  help: 'the partners whose statement it is; all where it is left out',
})

const stuckAfter = setting('stuck-after', {
  type: 'duration',
  default: '24h',
  min: 1_000,
  max: 365 * 86_400_000,
  help: 'from this age on what is under way counts as a difference',
})

const show = setting('show', {
  type: 'integer',
  default: '20',
  min: 0,
  max: 10_000,
  help: 'differences of each kind that are listed; --json and --out have them all',
})

const json = setting('json', {
  type: 'flag',
  help: 'print each difference as a line of JSON, and the totals as the last line, instead of tables',
})

const out = setting('out', {
  type: 'path',
  placeholder: 'FILE',
  help: 'also write each difference as a line of JSON to this file',
})

const fix = setting('fix', { type: 'flag', help: 'also list commands that may mend what was found; none is run' })

const dir = setting('dir', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder in which a temporary one is made for what memory does not hold: some 500 bytes a record, reward and line',
})

export const reconcile = command({
  name: 'reconcile',
  group: 'Look inside',
  summary: "compare reward.tasks, ledger, budgets and the wallet's statement, and name each difference",
  description: `
    Each reward is looked at on all sides: its records on reward.tasks, its row in the ledger with outbox, holds, freezes and
    history, its pool's budget, and the wallet's line for its request id. What is missing, there twice, of another amount,
    currency, player or state is named with its ids and the likely cause, and one cause is named once. What is under way
    (not booked yet, sent and not answered) is no difference; the ledger is read as it was at one instant, while sinks run.

    Without --brokers the topic is left out, without --statement the wallet. A statement that covers a part of the time needs
    --period, or --from and --until: only payments that certainly lie within are missed in it. Nothing is changed.

    Memory stays below 1 GB for a million rewards; the rest is in a temporary folder. Exit codes: 0 nothing differs, 1 something
    does, 2 wrong usage.`,
  examples: [
    {
      line: 'ONCEWARD_DB=postgres://... onceward reconcile --brokers localhost:9092 --statement november.csv --period 2025-11',
      says: 'all sides, for one month',
    },
    {
      line: 'onceward reconcile --db postgres://onceward@localhost/onceward',
      says: 'the ledger against itself and its budgets',
    },
    {
      line: 'onceward reconcile --db postgres://onceward@localhost/onceward --statement auszug.csv --delimiter ";" --decimal-comma --columns request_id=Anfrage,amount=Betrag --states gebucht=paid',
      says: 'a statement with names of its own',
    },
  ],
  settings: [
    db,
    brokers,
    prefix,
    application,
    group,
    statement,
    columns,
    states,
    delimiter,
    decimalComma,
    period,
    from,
    until,
    partners,
    stuckAfter,
    show,
    json,
    out,
    fix,
    dir,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { planOf, runReconciliation } = await import('../reconcile/session.ts')
    const { LOOK_PATIENCE_MS, withKafka } = await import('../runtime.ts')
    const { settings } = context
    // What is written wrongly is said before a broker is asked.
    planOf(settings)
    const { brokers: addresses } = settings
    if (addresses === undefined) return runReconciliation(undefined, context)
    return withKafka(
      { ...context, settings: { ...settings, brokers: addresses } },
      (log) => runReconciliation(log, context),
      { patienceMs: LOOK_PATIENCE_MS },
    )
  },
})
