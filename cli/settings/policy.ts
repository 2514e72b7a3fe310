import { setting } from './setting.ts'
import { BROKER_ADDRESS } from './shared.ts'

/** Settings of the commands around the payout policy; one object each, so that they mean the same everywhere. */

export const policyBrokers = setting('brokers', {
  type: 'list',
  placeholder: 'HOST:PORT,...',
  help: 'Kafka brokers, to look at what is published',
  pattern: BROKER_ADDRESS,
})

export const policyFile = setting('policy', {
  type: 'path',
  placeholder: 'FILE',
  help: 'a policy file (or a folder with its versions), to look at instead of what is published',
})
