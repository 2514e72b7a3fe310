import { openPostgresBackOffice } from '../../connectors/ledger/back-office/back-office.ts'
import type { BackOffice } from '../../core/ports/back-office.ts'
import type { Context } from '../command.ts'
import { closing } from '../runtime.ts'
import type { LEDGER } from '../settings/office.ts'
import type { Values } from '../settings/setting.ts'

export type LedgerSettings = Values<typeof LEDGER>

/** Opens the back office on the ledger, hands it to `use` and closes it whatever comes of that. */
export async function withOffice<T>(
  { settings, logger }: Pick<Context<LedgerSettings>, 'settings' | 'logger'>,
  use: (office: BackOffice) => Promise<T>,
): Promise<T> {
  const office = openPostgresBackOffice({ url: settings.db, allowNonDurable: settings.allowNonDurableDb, logger })
  return closing(office, () => use(office))
}
