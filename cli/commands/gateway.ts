import { STREAM_NAME } from '../../core/audit/lines.ts'
import { command } from '../command.ts'
import { anchors, optionalAudit } from '../settings/audit.ts'
import { gatewayFile } from '../settings/gateway.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { setting } from '../settings/setting.ts'
import { brokers, listenHost, listenPort, metricsHost, metricsPort, prefix, schemas } from '../settings/shared.ts'

const port = listenPort('8080')
const host = listenHost('0.0.0.0')

const audit = optionalAudit('each request stands as it came, before anything is done with it')

const auditStream = setting('audit-stream', {
  type: 'text',
  default: 'gateway',
  placeholder: 'NAME',
  help: 'name of this gateway in the audit log; each gateway that writes into the same folder needs its own',
  pattern: {
    test: STREAM_NAME,
    right: 'a name of a stream; use letters, digits, ".", "_" and "-"',
  },
})

const geoFile = setting('geo-file', {
  type: 'path',
  placeholder: 'FILE',
  help: "MaxMind file (GeoLite2-Country.mmdb) that tells a client's country from its address",
})

export const gateway = command({
  name: 'gateway',
  group: 'On Kafka',
  summary: 'take events over HTTP, from SDKs with a key and from providers with a signature',
  description: `
    Takes POST /v1/events (one event, or up to 500) and POST /v1/webhooks/<provider>, checks who sends them and what they
    are, adds what it knows (country, device, whether the player has paid), and writes them to events.raw. 202 is answered
    only once Kafka has acknowledged them; where it cannot, 503 with Retry-After, and nothing was taken.

    Who may send, how much, with which keys and secrets, says the --gateway-file. It is read anew when it or a file that it
    names changes, and on SIGHUP, without a restart; where it is broken then, the one before stays in use. docs/GATEWAY.md
    has its form, and what each answer means. On SIGTERM it answers what is under way and exits with 0.`,
  examples: [
    {
      line: 'onceward gateway --brokers localhost:9092 --gateway-file examples/gateway/gateway.yaml',
      says: 'the example: a web page, a back end and two providers',
    },
    {
      line: 'onceward gateway --brokers localhost:9092 --gateway-file gateway.yaml --audit audit --metrics-port 9103',
      says: 'with an audit log, and metrics on port 9103',
    },
    {
      line: 'onceward gateway --config production.yaml --log-level info',
      says: 'settings from a file',
    },
  ],
  service: true,
  settings: [
    brokers,
    gatewayFile,
    port,
    host,
    prefix,
    schemas,
    audit,
    auditStream,
    anchors,
    geoFile,
    metricsPort,
    metricsHost,
    ...KAFKA_SECURITY,
  ],
  async run(context) {
    const { openGatewayFile, runGateway } = await import('../gateway/gateway-process.ts')
    const { withKafka } = await import('../runtime.ts')
    const file = await openGatewayFile(context)
    await withKafka(context, (log) => runGateway(log, file, context))
  },
})
