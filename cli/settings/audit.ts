import { setting } from './setting.ts'
import { BROKER_ADDRESS } from './shared.ts'

/** Settings of everything that writes or reads the audit log; one object each, so that they mean the same everywhere. */

export const audit = setting('audit', {
  type: 'path',
  required: true,
  placeholder: 'DIR',
  help: 'folder of the audit log, with a folder for each stream',
})

/** For commands that audit themselves where a folder is given. `holds`: what stands in it, as a clause. */
export const optionalAudit = (holds: string) =>
  setting('audit', {
    type: 'path',
    placeholder: 'DIR',
    help: `folder of the audit log, in which ${holds}; none where it is left out`,
  })

export const anchors = setting('anchors', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder for the anchors of the audit log, best on another machine (a mount): it holds the heads of the chains',
})

export const anchorBrokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers, for the anchors on the topic audit.heads; without them the topic is left out',
  pattern: BROKER_ADDRESS,
})

const archiveBucket = setting('archive-bucket', {
  type: 'text',
  placeholder: 'NAME',
  help: 'bucket with Object Lock that closed segments are copied to; there is no archive where it is left out',
  pattern: {
    test: /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    right: 'a bucket name; use lower-case letters, digits, "." and "-"',
  },
})

const archiveEndpoint = setting('archive-endpoint', {
  type: 'url',
  protocols: ['http', 'https'],
  placeholder: 'URL',
  help: "of a server that speaks S3, such as https://minio.example:9000; Amazon's where it is left out",
})

const archiveRegion = setting('archive-region', {
  type: 'text',
  default: 'us-east-1',
  placeholder: 'REGION',
  help: 'region of the bucket',
})

const archivePrefix = setting('archive-prefix', {
  type: 'text',
  placeholder: 'TEXT',
  help: 'what the names of all objects begin with, so that several installations share a bucket',
  pattern: { test: /^[a-zA-Z0-9._/-]{1,200}$/, right: 'a part of a name; use letters, digits, ".", "_", "-" and "/"' },
})

const archiveKeyId = setting('archive-key-id', {
  type: 'text',
  placeholder: 'ID',
  help: 'access key id for the bucket; goes with --archive-secret-file',
})

const archiveSecretFile = setting('archive-secret-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file with the secret access key, and in a second line a session token where there is one',
})

/** Where closed segments are kept beside the folder. */
export const ARCHIVE = [
  archiveBucket,
  archiveEndpoint,
  archiveRegion,
  archivePrefix,
  archiveKeyId,
  archiveSecretFile,
] as const
