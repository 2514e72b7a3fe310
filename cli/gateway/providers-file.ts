import type { Node } from 'yaml'
import type { Privacy, Provider } from '../../core/ports/gateway.ts'
import type { LocatedYaml } from '../partners/located-yaml.ts'
import type { Outside } from '../partners/partners-file.ts'

/** The entries under `providers:`. */
export async function readProviders(
  yaml: LocatedYaml,
  entries: readonly Node[],
  _given: { readonly outside: Outside & { readonly folder: string }; readonly privacy: Privacy },
): Promise<readonly Provider[]> {
  const [first = 0] = entries
  throw yaml.wrong(first, 'providers are not read yet')
}
