import { type Command, command } from '../command.ts'
import { anchorBrokers, anchors, ARCHIVE, audit } from '../settings/audit.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { json, limit, withoutReason } from '../settings/office.ts'
import { setting } from '../settings/setting.ts'
import { brokers, metricsHost, metricsPort, prefix } from '../settings/shared.ts'

const group = 'Look inside'

const streams = setting('streams', {
  type: 'list',
  placeholder: 'NAME,...',
  help: 'only these streams: gateway-1, collector, …; all where it is left out',
})

const verify = command({
  name: 'audit verify',
  group,
  summary: 'check the audit log: find each record that was changed, removed, inserted or moved',
  description: `
    Reads every segment, whoever is writing it meanwhile, and names each finding: stream, file, line, record, and what was
    done to it. Then it goes on behind it. With --anchors or --brokers the chains are held to their anchors, too: whoever has
    made all hashes anew is found by these, and whoever has cut off the end. What lies behind the last anchor could be cut
    off without anybody being able to tell; it says how many records that are.

    Ends with 1 where anything was found.`,
  examples: [
    {
      line: 'onceward audit verify --audit audit --anchors anchors',
      says: 'all of it, against the anchors in a folder',
    },
    {
      line: 'onceward audit verify --audit audit --brokers localhost:9092 --json',
      says: 'against those on the topic, for a program: a finding a line, then a summary',
    },
  ],
  settings: [audit, anchors, anchorBrokers, prefix, streams, json, ...KAFKA_SECURITY],
  async run(context) {
    const { verifyCommand } = await import('../audit/verify.ts')
    return verifyCommand(context)
  },
})

const stream = setting('stream', {
  type: 'text',
  default: 'collector',
  placeholder: 'NAME',
  help: 'stream that is written; one process at a time writes it',
  pattern: {
    test: /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$/,
    right: 'a name of a stream; use letters, digits, ".", "_" and "-"',
  },
})

const db = setting('db', {
  type: 'url',
  secret: true,
  protocols: ['postgres', 'postgresql'],
  placeholder: 'URL',
  help: 'Postgres of the ledger, for the tables audit_log and reward_history too; without it they are left out',
})

const withScores = setting('with-scores', {
  type: 'flag',
  help: 'collect the records of scores too: one for each event and rule, by far the most',
})

const collect = command({
  name: 'audit collect',
  group,
  service: true,
  summary: 'bring every decision and every command into the audit log, as they are made',
  description: `
    Reads rules.control (rules, policies and segments that were published), reward.tasks (rewards, and what protection stopped),
    dlq, dlq.reviews (what people decided on dead letters), with --with-scores the scores, and with --db the ledger's
    tables audit_log (what people did) and reward_history (every move of every reward). Each record comes into the chain
    exactly once, with its source; a collector that was killed goes on where its chain ends. What retention has deleted before
    it was collected stands in the chain as a gap.

    Rows of the tables are taken once every transaction that could still add one before them has ended. Run one
    collector for each installation, always: the topics forget.`,
  examples: [
    {
      line: 'ONCEWARD_DB=postgres://... onceward audit collect --brokers localhost:9092 --audit audit --anchors anchors',
      says: 'all of it',
    },
  ],
  settings: [audit, anchors, brokers, prefix, db, withScores, stream, metricsPort, metricsHost, ...KAFKA_SECURITY],
  async run(context) {
    const { collectCommand } = await import('../audit/collect.ts')
    await collectCommand(context)
  },
})

const list = command({
  name: 'audit list',
  group,
  summary: 'show the streams of the audit log and their segments',
  description: `
    One line for each segment: its records, when it was begun and closed, its size, the head of its chain and, where an
    archive is named, until when that keeps it. It looks at the ends of the files only; audit verify reads them.`,
  examples: [{ line: 'onceward audit list --audit audit', says: 'what there is' }],
  settings: [audit, streams, json, ...ARCHIVE],
  async run(context) {
    const { listCommand } = await import('../audit/list.ts')
    await listCommand(context)
  },
})

const kind = setting('kind', {
  type: 'list',
  placeholder: 'KIND,...',
  help: 'only records of these kinds: request, answer, refusal, decision, command, recovery, gap, retired, …',
})

const show = command({
  name: 'audit show',
  group,
  summary: 'print records of the audit log',
  description: `
    One record a line, as JSON: stream, seq, at (RFC 3339), kind and body. --user finds what names the player as user_id, at any
    depth, also within texts that are JSON and in bodies that came as bytes; --request the same for ids of requests, rewards
    and events. It checks nothing: audit verify does.`,
  examples: [
    {
      line: 'onceward audit show --audit audit --user u_123 --from 2025-11-03 --until 2025-11-04',
      says: 'one player, one day',
    },
    {
      line: 'onceward audit show --audit audit --request rid_0123 --raw',
      says: 'the lines themselves, with their hashes',
    },
  ],
  settings: [
    audit,
    streams,
    kind,
    setting('user', { type: 'text', placeholder: 'ID', help: 'only records that name this player' }),
    setting('request', {
      type: 'text',
      placeholder: 'ID',
      help: 'only records that name this request, reward or event: request_id, reward_task_id, event_id, subject or id',
    }),
    setting('from', { type: 'text', placeholder: 'WHEN', help: 'only records from this day or time on (UTC)' }),
    setting('until', { type: 'text', placeholder: 'WHEN', help: 'only records before this day or time (UTC)' }),
    setting('raw', { type: 'flag', help: 'print the lines as they stand in the files' }),
    limit,
  ],
  async run(context) {
    const { showCommand } = await import('../audit/show.ts')
    await showCommand(context)
  },
})

const archiveRetain = setting('archive-retain', {
  type: 'duration',
  default: '400d',
  min: 60_000,
  max: 36_500 * 86_400_000,
  help: 'how long the archive keeps each segment from its closing on: until then nobody, not even its owner, can delete it',
})

const archive = command({
  name: 'audit archive',
  group,
  summary: 'copy closed segments of the audit log to a bucket with Object Lock',
  description: `
    Each closed segment is checked, copied under <prefix><stream>/<segment> in compliance mode, and looked at again. What is there
    already is compared and left as it is. Run it every hour or day. Ends with 1 where a segment could not be copied.`,
  examples: [
    {
      line: 'onceward audit archive --audit audit --archive-bucket onceward-audit --archive-key-id AKIA... --archive-secret-file s3.secret',
      says: 'at Amazon',
    },
    {
      line: 'onceward audit archive --audit audit --archive-bucket audit --archive-endpoint https://minio.example:9000 --archive-key-id ops --archive-secret-file s3.secret --archive-retain 730d',
      says: 'anywhere else, for two years',
    },
  ],
  settings: [audit, streams, archiveRetain, json, ...ARCHIVE],
  async run(context) {
    const { archiveCommand } = await import('../audit/archive.ts')
    return archiveCommand(context)
  },
})

const olderThan = setting('older-than', {
  type: 'duration',
  required: true,
  min: 0,
  max: 36_500 * 86_400_000,
  help: 'drop segments that were closed so long ago, such as 400d',
})

const retain = command({
  name: 'audit retain',
  group,
  summary: 'drop whole segments of the audit log that are older than they have to be kept',
  description: `
    Oldest first, and never the newest of a stream. The streams are verified before, and nothing is dropped of one with a finding;
    where an archive is named, only what it holds. What is dropped is written into the chain of the stream retention first,
    with its hashes, so that audit verify accepts exactly these as gone and names any other. First it shows what it would drop; it
    is done after a yes, or with --yes.`,
  examples: [
    {
      line: 'onceward audit retain --audit audit --anchors anchors --older-than 400d',
      says: 'shows what would go, and asks',
    },
  ],
  settings: [audit, anchors, anchorBrokers, prefix, olderThan, ...withoutReason, ...ARCHIVE, ...KAFKA_SECURITY],
  async run(context) {
    const { retainCommand } = await import('../audit/retain.ts')
    return retainCommand(context)
  },
})

/** The commands around the audit log, in the order of the help page. */
export const AUDIT: readonly Command[] = [verify, collect, list, show, archive, retain]
