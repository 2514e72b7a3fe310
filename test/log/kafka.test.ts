import { afterAll, describe } from 'vitest'
import { kafkaForTests } from '../support/kafka.ts'
import { logConformance } from './conformance.ts'
import { brokerFaults, groupFaults, transactionFaults } from './kafka-faults.ts'
import { FEATURES, open, OWN_BROKER, shownAtOnce, stopBroker } from './kafka-harness.ts'

describe.skipIf(!kafkaForTests().available)('a real Kafka', () => {
  afterAll(stopBroker)

  logConformance('kafka', {
    open: async () => {
      const log = await open()
      return { log: shownAtOnce(log), close: () => log.close() }
    },
    features: FEATURES,
  })

  describe('transactions whose answers are lost', () => {
    transactionFaults()
  })
  describe.skipIf(!OWN_BROKER)('a broker that is away', () => {
    brokerFaults()
  })
  describe('groups at their edges', () => {
    groupFaults()
  })
})
