import { OncewardError } from '../core/errors.ts'
import type { KafkaLogOptions } from '../connectors/log/kafka/kafka-log.ts'
import type { KafkaSettings } from './runtime.ts'
import { readSecret, readSettingFile } from './secret-file.ts'

export type KafkaSecurity = Pick<KafkaLogOptions, 'ssl' | 'sasl'>

/** TLS and sign-in, as the settings have it; ONCEWARD_E_USAGE where one of them needs another that is missing. */
export async function readKafkaSecurity(settings: KafkaSettings): Promise<KafkaSecurity> {
  const [ssl, sasl] = [await tlsOf(settings), await saslOf(settings)]
  return { ...(ssl === undefined ? {} : { ssl }), ...(sasl === undefined ? {} : { sasl }) }
}

async function tlsOf(settings: KafkaSettings): Promise<KafkaSecurity['ssl']> {
  const { kafkaTls, kafkaCaFile, kafkaCertFile, kafkaKeyFile } = settings
  needTogether('--kafka-cert-file', kafkaCertFile, '--kafka-key-file', kafkaKeyFile)
  const parts = {
    ...(kafkaCaFile === undefined ? {} : { ca: await readSettingFile('--kafka-ca-file', kafkaCaFile) }),
    ...(kafkaCertFile === undefined ? {} : { cert: await readSettingFile('--kafka-cert-file', kafkaCertFile) }),
    ...(kafkaKeyFile === undefined ? {} : { key: await readSettingFile('--kafka-key-file', kafkaKeyFile) }),
  }
  if (Object.keys(parts).length > 0) return parts
  return kafkaTls ? true : undefined
}

async function saslOf({ kafkaSasl, kafkaUser, kafkaPasswordFile }: KafkaSettings): Promise<KafkaSecurity['sasl']> {
  needTogether('--kafka-user', kafkaUser, '--kafka-password-file', kafkaPasswordFile)
  needTogether('--kafka-sasl', kafkaSasl, '--kafka-user', kafkaUser)
  if (kafkaSasl === undefined || kafkaUser === undefined || kafkaPasswordFile === undefined) return undefined
  const account = { username: kafkaUser, password: await readSecret('--kafka-password-file', kafkaPasswordFile) }
  // One object for each mechanism, because its type has one for each.
  if (kafkaSasl === 'plain') return { mechanism: 'plain', ...account }
  if (kafkaSasl === 'scram-sha-256') return { mechanism: 'scram-sha-256', ...account }
  return { mechanism: 'scram-sha-512', ...account }
}

function needTogether(one: string, oneValue: unknown, other: string, otherValue: unknown): void {
  if ((oneValue === undefined) === (otherValue === undefined)) return
  const [given, missing] = oneValue === undefined ? [other, one] : [one, other]
  throw new OncewardError('ONCEWARD_E_USAGE', `${given} goes with ${missing}; give both or none`)
}
