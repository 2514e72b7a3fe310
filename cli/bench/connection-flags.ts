import type { KafkaSettings } from '../runtime.ts'
import { KAFKA_SECURITY } from '../settings/kafka-security.ts'
import { camelCase, flagOf } from '../settings/setting.ts'

/** The flags with which another command reaches the same brokers. */
export function connectionFlags(settings: KafkaSettings): readonly string[] {
  const values: Readonly<Record<string, unknown>> = settings
  const security = KAFKA_SECURITY.flatMap((setting) => {
    const value = values[camelCase(setting.name)]
    if (value === true) return [flagOf(setting)]
    return typeof value === 'string' ? [flagOf(setting), value] : []
  })
  return ['--brokers', settings.brokers.join(','), ...security]
}
