import { type Command, command } from '../command.ts'
import { gatewayFile } from '../settings/gateway.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, policy, withoutReason } from '../settings/office.ts'
import { REGISTRY } from '../settings/registry.ts'
import {
  dropReason,
  LETTER_FILTERS,
  LETTER_TARGETS,
  listLimit,
  oneLetter,
  optionalDb,
  optionalReason,
} from '../settings/review.ts'
import { optionalAudit } from '../settings/audit.ts'
import { setting } from '../settings/setting.ts'
import {
  allowNonDurableDb,
  brokers,
  dedupeWindow,
  listenHost,
  listenPort,
  prefix,
  reorderWindow,
  schemas,
} from '../settings/shared.ts'

const group = 'Dead letters'
const KAFKA = [brokers, prefix, schemas, ...REGISTRY, reorderWindow, dedupeWindow, ...KAFKA_SECURITY] as const
const AUDIT = [
  optionalAudit('each command and decision stands as well'),
  setting('audit-stream', {
    type: 'text',
    default: 'dlq',
    placeholder: 'NAME',
    help: 'name in the audit log; of those who write into the same folder at once each needs its own',
    pattern: {
      test: /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
      right: 'a name for a stream; begin with a letter or digit, and use letters, digits, ".", "_" and "-"',
    },
  }),
] as const
const LEDGER = [optionalDb, allowNonDurableDb, policy] as const

const list = command({
  name: 'dlq list',
  group,
  summary: 'show dead letters: what was set aside, why, and whether somebody has decided on it',
  description: `
    One line for each letter, the newest first: its id, its time, the cause, what it is about, where it stands and the error.`,
  examples: [
    { line: 'onceward dlq list --brokers localhost:9092 --status open', says: 'what waits for somebody' },
    {
      line: 'onceward dlq list --brokers localhost:9092 --cause schema --event-name bet --from 2025-11-03 --json',
      says: 'for a program',
    },
  ],
  settings: [...LETTER_FILTERS, listLimit, ...KAFKA, json],
  async run(context) {
    const { listLetters } = await import('../dlq/list.ts')
    await listLetters(context)
  },
})

const show = command({
  name: 'dlq show',
  group,
  summary: 'tell all that is known of dead letters: what came, what was done to it, what would become of it now',
  description: `
    The letter with what came, what it was before if it was reprocessed, the decision with who made it and why, what came of
    that, where it stands at its source, and what reprocessing it would do by the schemas and rules of now.`,
  examples: [{ line: 'onceward dlq show 0-123 --brokers localhost:9092', says: 'before you decide' }],
  settings: [oneLetter, ...LEDGER, ...KAFKA, json],
  async run(context) {
    const { showLetters } = await import('../dlq/show.ts')
    await showLetters(context)
  },
})

const count = command({
  name: 'dlq count',
  group,
  summary: 'count dead letters by cause, error, day and status',
  description: `
    Letters whose errors differ only by values, times and ids are one group. Below stands what share of the events on the
    topic was set aside, by offsets, so about.`,
  examples: [{ line: 'onceward dlq count --brokers localhost:9092 --status open', says: 'what there is to do' }],
  settings: [...LETTER_FILTERS, ...KAFKA, json],
  async run(context) {
    const { countLetters } = await import('../dlq/count.ts')
    await countLetters(context)
  },
})

const BULK = `
    First it shows what would become of each; it is done after a yes, or with --yes, in transactions of at most 500 letters.
    Typed again after a stop, it goes on. Each letter is decided once: of two people who decide at once one does, and the
    other is told who and when. Without ids it is for open letters only. Ends with 1 where anything was refused.`

const reprocess = command({
  name: 'dlq reprocess',
  group,
  summary: 'send dead letters back to where they came from',
  description: `
    Events go back to their topic as they came, keyed by player, with what was done to them in a header. What would be set
    aside again is refused, with the reason: an event that no schema fits (see dlq fix), one that still lies ahead. An event
    that came late is scored by rules whose totals do not depend on order; the dry run names them, and why others do not.

    Rewards that failed are sent again by the ledger (--db), which asks player and pool anew and pays each once.
${BULK}`,
  examples: [
    {
      line: 'onceward dlq reprocess 0-123 2-7 --brokers localhost:9092',
      says: 'two letters: shows what would happen, and asks',
    },
    {
      line: 'onceward dlq reprocess --cause late --from 2025-11-03 --brokers localhost:9092 --reason "feed was stuck" --as ann --yes',
      says: 'all that came late on a day',
    },
    {
      line: 'ONCEWARD_DB=postgres://... onceward dlq reprocess --cause payout --brokers localhost:9092 --yes',
      says: 'rewards that their partner refused',
    },
  ],
  settings: [...LETTER_TARGETS, optionalReason, ...withoutReason, ...LEDGER, ...AUDIT, ...KAFKA],
  async run(context) {
    const { decideLetters } = await import('../dlq/decide.ts')
    return decideLetters(context, (order) => Promise.resolve({ ...order, name: 'reprocess' }))
  },
})

const drop = command({
  name: 'dlq drop',
  group,
  summary: 'decide that nothing more is done about dead letters',
  description: `
    Nothing is sent. The letters stay readable as long as the topic keeps them, and your reason with them.
${BULK}`,
  examples: [
    {
      line: 'onceward dlq drop --cause schema --user u_test --brokers localhost:9092 --reason "load test" --yes',
      says: 'what nobody needs',
    },
  ],
  settings: [...LETTER_TARGETS, dropReason, ...withoutReason, ...AUDIT, ...KAFKA],
  async run(context) {
    const { decideLetters } = await import('../dlq/decide.ts')
    return decideLetters(context, (order) => Promise.resolve({ ...order, name: 'drop' }))
  },
})

const FIX = [
  setting('set', {
    type: 'texts',
    placeholder: 'PATH=EXPRESSION',
    help: 'what a field of the event becomes, over the event as it was; as often as there are fields',
  }),
  setting('unset', { type: 'list', placeholder: 'PATH,...', help: 'fields that are taken out of the event' }),
  setting('when', {
    type: 'text',
    placeholder: 'CONDITION',
    help: 'only events for which this holds; the others are refused',
  }),
  setting('allow-ids', {
    type: 'flag',
    help: 'with --set: also change event_id and user.id, which makes it another event',
  }),
  setting('mapping', {
    type: 'path',
    placeholder: 'FILE',
    help: 'YAML file with when, set and unset, in place of the flags; docs/PROVIDERS.md has its form',
  }),
  setting('event', {
    type: 'path',
    placeholder: 'FILE',
    help: 'for one letter: file with the whole event as it should have been, JSON; - is the standard input',
  }),
] as const

const fix = command({
  name: 'dlq fix',
  group,
  summary: 'put dead events right and send them back',
  description: `
    Changes fields of the event by expressions of the rules language, for one letter or for all with the same error, checks
    the result as a worker would, and sends it as dlq reprocess does. What is still not valid is refused and stays open.
    The event before and after stands in the decision. Rewards are never edited.
${BULK}`,
  examples: [
    {
      line: 'onceward dlq fix --cause schema --error "payload.stake is" --set "payload.stake=payload.amount" --unset payload.amount --brokers localhost:9092',
      says: 'all of the same error: shows what would happen, and asks',
    },
    {
      line: 'onceward dlq fix 0-123 --event corrected.json --brokers localhost:9092 --reason "typed by hand"',
      says: 'one letter, by the whole event',
    },
  ],
  settings: [...LETTER_TARGETS, ...FIX, optionalReason, ...withoutReason, ...AUDIT, ...KAFKA],
  async run(context) {
    const { decideLetters } = await import('../dlq/decide.ts')
    const { fixFrom } = await import('../dlq/fix.ts')
    return decideLetters(context, async (order) => ({ ...order, name: 'fix', fix: await fixFrom(context.settings) }))
  },
})

const SERVE = [listenPort('8095'), listenHost('127.0.0.1')] as const

const serve = command({
  name: 'dlq serve',
  group,
  summary: 'serve dead letters over HTTP, for a console and for programs',
  description: `
    GET /v1/dlq, /v1/dlq/count and /v1/dlq/<id>, and POST /v1/dlq/reprocess, /fix and /drop, which change nothing unless the
    body says "dry_run": false. The same as the commands do, under the same rule: each letter is decided once.

    Keys are those of the gateway's file, with the scopes dlq:read and dlq:write; the file is read anew when it changes.
    docs/DLQ.md has requests and answers. It speaks plain HTTP: put TLS in front of it. On SIGTERM it answers what is under
    way and exits with 0.`,
  examples: [
    {
      line: 'onceward dlq serve --brokers localhost:9092 --gateway-file gateway.yaml',
      says: 'for a console on this machine',
    },
  ],
  service: true,
  settings: [gatewayFile, ...SERVE, ...LEDGER, ...AUDIT, ...KAFKA],
  async run(context) {
    const { serveLetters } = await import('../dlq/serve.ts')
    await serveLetters(context)
  },
})

/** The commands on dead letters, in the order of the help page. */
export const DLQ: readonly Command[] = [list, count, show, reprocess, fix, drop, serve]
