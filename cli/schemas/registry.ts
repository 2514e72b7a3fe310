import type { Clock } from '../../core/clock.ts'
import { OncewardError } from '../../core/errors.ts'
import type { JsonObject } from '../../core/model/event.ts'
import type { SchemaRegistry } from '../../core/ports/registry.ts'
import { incompatibilities } from '../../operators/compatibility.ts'
import { readSecret, readSettingFile } from '../secret-file.ts'
import type { EmbeddedRegistryOptions } from '../../connectors/registry/embedded-registry.ts'
import type { REGISTRY } from '../settings/registry.ts'
import type { Values } from '../settings/setting.ts'

export type RegistrySettings = Values<typeof REGISTRY>

/**
 * The registry that the settings name; undefined: none. `missing`: what becomes of a folder that is not there. Throws
 * ONCEWARD_E_USAGE where the settings do not go together.
 */
export async function openRegistry(
  settings: RegistrySettings,
  { clock, missing = 'refuse' }: { readonly clock: Clock; readonly missing?: EmbeddedRegistryOptions['missing'] },
): Promise<SchemaRegistry | undefined> {
  const { registry: url, registryDir: dir } = settings
  if (url !== undefined && dir !== undefined) {
    throw new OncewardError(
      'ONCEWARD_E_USAGE',
      'there is one schema registry: give --registry or --registry-dir, not both',
    )
  }
  if (url === undefined) onlyWithUrl(settings)
  if (dir !== undefined) {
    const { openEmbeddedRegistry } = await import('../../connectors/registry/embedded-registry.ts')
    return openEmbeddedRegistry({ dir, problems: readProblems, missing })
  }
  if (url === undefined) return undefined
  const { httpRegistry } = await import('../../connectors/registry/http-registry.ts')
  return httpRegistry({ url, clock, ...(await accountOf(settings)) })
}

/** What keeps one schema from reading what another wrote, as sentences. */
export function readProblems(newer: string, older: string): readonly string[] {
  const found = incompatibilities(JSON.parse(newer) as JsonObject, JSON.parse(older) as JsonObject)
  return found.map(({ path, problem }) => `${path === '' ? 'the record' : path} ${problem}`)
}

async function accountOf({ registryUser: name, registryPasswordFile: file, registryCaFile: caFile }: RegistrySettings) {
  if ((name === undefined) !== (file === undefined)) {
    throw new OncewardError('ONCEWARD_E_USAGE', '--registry-user goes with --registry-password-file; give both or none')
  }
  return {
    ...(name === undefined || file === undefined
      ? {}
      : { user: { name, password: await readSecret('--registry-password-file', file) } }),
    ...(caFile === undefined ? {} : { ca: await readSettingFile('--registry-ca-file', caFile) }),
  }
}

function onlyWithUrl(settings: RegistrySettings): void {
  const { registryUser, registryPasswordFile, registryCaFile } = settings
  if (registryUser === undefined && registryPasswordFile === undefined && registryCaFile === undefined) return
  throw new OncewardError(
    'ONCEWARD_E_USAGE',
    'the --registry-... settings go with --registry URL; give it, or leave them out',
  )
}
