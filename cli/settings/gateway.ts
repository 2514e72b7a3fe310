import { setting } from './setting.ts'

/** The file that says who may send events, and who may review them. */
export const gatewayFile = setting('gateway-file', {
  type: 'path',
  required: true,
  placeholder: 'FILE',
  help: 'YAML file that says who may send events: sources with their keys, providers with their secrets, their limits',
})
