import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const GARBAGE_BYTES = 64

/**
 * Writes garbage into one file of one of the stores under `folder`: the start of a table where there is one, otherwise
 * CURRENT. Answers which; undefined where there is no store. `choice` in [0, 1) says which store.
 */
export function spoilStore(folder: string, choice: number): string | undefined {
  const stores = existsSync(folder) ? readdirSync(folder).filter((name) => /^partition-\d+$/.test(name)) : []
  const store = stores.sort()[Math.floor(choice * stores.length)]
  if (store === undefined) return undefined
  const tables = readdirSync(join(folder, store)).filter((name) => /\.(sst|ldb)$/.test(name))
  const largest = tables.sort((a, b) => sizeOf(join(folder, store, b)) - sizeOf(join(folder, store, a)))[0]
  const file = join(store, largest ?? 'CURRENT')
  const bytes = readFileSync(join(folder, file))
  // The end of a table is left as it is: RocksDB ends the whole process on some of what may stand there.
  writeFileSync(join(folder, file), bytes.fill(0xa5, 0, Math.min(GARBAGE_BYTES, bytes.length)))
  return file
}

function sizeOf(path: string): number {
  return statSync(path).size
}
