import { userInfo } from 'node:os'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import type { ControlOptions } from '../../pipeline/publish-rules.ts'
import type { Context } from '../command.ts'

export interface ControlSettings {
  readonly prefix: string | undefined
}

export interface PublisherSettings extends ControlSettings {
  readonly by: string | undefined
  readonly reason: string | undefined
}

export function controlOf(log: Log, { settings, clock, logger }: Context<ControlSettings>): ControlOptions {
  return { log, clock, logger, topic: topicNames(settings.prefix).control }
}

/** Who publishes, and why. */
export function publisherOf({ by, reason }: PublisherSettings): { publishedBy: string; reason: string | undefined } {
  return { publishedBy: by ?? osUser(), reason }
}

function osUser(): string {
  try {
    return userInfo().username
  } catch {
    // In a container the user may have a number only.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
