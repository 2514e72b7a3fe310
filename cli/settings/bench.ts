import { setting } from './setting.ts'

/** What several benches have. */
export const benchDir = setting('dir', {
  type: 'path',
  placeholder: 'DIR',
  help: 'folder in which a temporary one is made for the state; the disk that is measured. The system decides where it is left out',
})
