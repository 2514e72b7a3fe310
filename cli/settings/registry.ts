import { setting } from './setting.ts'

/** Where the schemas of events in Avro are; every command that reads events has these. */

const registry = setting('registry', {
  type: 'url',
  placeholder: 'URL',
  help: "where the API of Confluent's Schema Registry, or of one like it, begins; events in Avro are read by the schemas there",
})

const registryDir = setting('registry-dir', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder that serves as the schema registry, in the place of --registry',
})

const registryUser = setting('registry-user', {
  type: 'text',
  placeholder: 'NAME',
  help: 'user name for --registry; goes with a password',
})

const registryPasswordFile = setting('registry-password-file', {
  type: 'path',
  placeholder: 'FILE',
  help: 'file with the password for --registry-user',
})

const registryCaFile = setting('registry-ca-file', {
  type: 'path',
  placeholder: 'FILE',
  help: "PEM file with the authority that signed the certificate of --registry; the machine's authorities where it is left out",
})

export const REGISTRY = [registry, registryDir, registryUser, registryPasswordFile, registryCaFile] as const
