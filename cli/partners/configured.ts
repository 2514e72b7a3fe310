import { OncewardError } from '../../core/errors.ts'
import type { PartnerSpec } from '../../core/model/partner.ts'
import { readSecrets, readSettingFile } from '../secret-file.ts'
import { readPartners } from './partners-file.ts'

export interface PartnerSettings {
  readonly partners: string | undefined
  readonly wallet: string | undefined
  readonly secretFile: string | undefined
  readonly allowHosts: readonly string[] | undefined
  readonly concurrency: number
  readonly walletTimeout: number
}

/** Those of the file of partners, or the one that --wallet names. Throws ONCEWARD_E_USAGE where it is both or neither. */
export async function configuredPartners(
  settings: PartnerSettings,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly PartnerSpec[]> {
  const { partners, wallet, secretFile, allowHosts } = settings
  if (partners !== undefined) {
    if (wallet !== undefined || secretFile !== undefined || allowHosts !== undefined) {
      throw usage('--partners names all that is called; leave out --wallet, --secret-file and --allow-hosts')
    }
    const read = (path: string): Promise<string> => readSettingFile('partners', path)
    return readPartners(partners, await readSettingFile('--partners', partners), { read, environment })
  }
  if (wallet === undefined)
    throw usage('give --partners FILE, or --wallet URL with --secret-file FILE, so that it is known who pays')
  if (secretFile === undefined) throw usage('--wallet goes with --secret-file: the secret that sink and wallet share')
  return [
    {
      name: 'wallet',
      url: wallet,
      secrets: await readSecrets('--secret-file', secretFile),
      types: ['*'],
      concurrency: settings.concurrency,
      orderedByPlayer: false,
      timeoutMs: settings.walletTimeout,
      allowHosts: allowHosts ?? [],
    },
  ]
}

function usage(message: string): OncewardError {
  return new OncewardError('ONCEWARD_E_USAGE', message)
}
