import { anchorFolder, anchorFolderReader } from '../../connectors/audit/anchor-file.ts'
import { anchorTopic, anchorTopicReader } from '../../connectors/audit/anchor-topic.ts'
import { openS3Archive } from '../../connectors/archive/s3.ts'
import type { Archive } from '../../core/ports/archive.ts'
import { OncewardError } from '../../core/errors.ts'
import type { AnchorPlace, AnchorReader } from '../../core/ports/audit.ts'
import type { Log } from '../../core/ports/log.ts'
import { topicNames } from '../../core/topics.ts'
import type { Context } from '../command.ts'
import { closing, type KafkaSettings, LOOK_PATIENCE_MS, withKafka } from '../runtime.ts'
import { readSecrets } from '../secret-file.ts'
import type { ARCHIVE } from '../settings/audit.ts'
import type { Values } from '../settings/setting.ts'

export type AnchorSettings = Omit<KafkaSettings, 'brokers'> & {
  readonly anchors: string | undefined
  readonly brokers: readonly string[] | undefined
  readonly prefix: string | undefined
}

/** Hands `use` the places of anchors that the settings name, to write to and to read from. */
export async function withAnchors<T>(
  context: Context<AnchorSettings>,
  use: (places: readonly AnchorPlace[], readers: readonly AnchorReader[]) => Promise<T>,
): Promise<T> {
  const { anchors, brokers } = context.settings
  if (brokers === undefined) {
    return anchors === undefined ? use([], []) : use([anchorFolder(anchors)], [anchorFolderReader(anchors)])
  }
  const settings = { ...context.settings, brokers: [...brokers] }
  return withKafka(
    { ...context, settings },
    (log) => use(anchorPlaces(log, context.settings), anchorReaders(log, context.settings)),
    {
      patienceMs: LOOK_PATIENCE_MS,
    },
  )
}

type Places = Pick<AnchorSettings, 'anchors' | 'prefix'>

export function anchorPlaces(log: Log, { anchors, prefix }: Places): readonly AnchorPlace[] {
  const topic = anchorTopic(log, topicNames(prefix).auditHeads)
  return anchors === undefined ? [topic] : [anchorFolder(anchors), topic]
}

function anchorReaders(log: Log, { anchors, prefix }: Places): readonly AnchorReader[] {
  const topic = anchorTopicReader(log, topicNames(prefix).auditHeads)
  return anchors === undefined ? [topic] : [anchorFolderReader(anchors), topic]
}

export type ArchiveSettings = Values<typeof ARCHIVE>

/** Hands `use` the archive that the settings name, or undefined. */
export async function withArchive<T>(
  { settings, clock }: Pick<Context<ArchiveSettings>, 'settings' | 'clock'>,
  use: (archive: Archive | undefined) => Promise<T>,
): Promise<T> {
  const { archiveBucket: bucket, archiveKeyId: accessKeyId, archiveSecretFile: file } = settings
  if (bucket === undefined) return use(undefined)
  if (accessKeyId === undefined || file === undefined) {
    throw new OncewardError(
      'ONCEWARD_E_USAGE',
      '--archive-bucket needs --archive-key-id and --archive-secret-file as well',
    )
  }
  const [secretAccessKey = '', sessionToken] = await readSecrets('--archive-secret-file', file)
  const { archiveEndpoint: endpoint, archiveRegion: region } = settings
  const archive = openS3Archive({ bucket, endpoint, region, accessKeyId, secretAccessKey, sessionToken, clock })
  return closing(archive, () => use(archive))
}

export function archiveKey({ archivePrefix = '' }: ArchiveSettings, stream: string, segment: string): string {
  return `${archivePrefix}${stream}/${segment}`
}
