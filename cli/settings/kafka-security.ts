import { setting } from './setting.ts'

/** How every command that talks to Kafka proves who it is and whom it talks to. */

const kafkaTls = setting('kafka-tls', {
  type: 'flag',
  help: "talk to the brokers over TLS, checking their certificates against the machine's authorities or --kafka-ca-file",
})

const kafkaCaFile = setting('kafka-ca-file', {
  type: 'path',
  placeholder: 'FILE',
  help: "PEM file with the authority that signed the brokers' certificates; implies --kafka-tls",
})

const kafkaCertFile = setting('kafka-cert-file', {
  type: 'path',
  placeholder: 'FILE',
  help: "PEM file with this client's certificate, where the brokers ask for one; goes with --kafka-key-file",
})

const kafkaKeyFile = setting('kafka-key-file', {
  type: 'path',
  placeholder: 'FILE',
  help: "PEM file with the key of this client's certificate",
})

const kafkaSasl = setting('kafka-sasl', {
  type: 'choice',
  choices: ['plain', 'scram-sha-256', 'scram-sha-512'],
  placeholder: 'MECHANISM',
  help: 'how to sign in to the brokers: plain, scram-sha-256 or scram-sha-512; goes with a user and a password',
})

const kafkaUser = setting('kafka-user', { type: 'text', placeholder: 'NAME', help: 'user name for --kafka-sasl' })

const kafkaPasswordFile = setting('kafka-password-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file with the password for --kafka-sasl',
})

export const KAFKA_SECURITY = [
  kafkaTls,
  kafkaCaFile,
  kafkaCertFile,
  kafkaKeyFile,
  kafkaSasl,
  kafkaUser,
  kafkaPasswordFile,
] as const
