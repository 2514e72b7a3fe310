import { writeFile } from 'node:fs/promises'
import { openApiDocument } from '../../connectors/gateway/openapi.ts'
import { productVersion } from '../../cli/version.ts'

await writeFile('docs/openapi.json', `${JSON.stringify(openApiDocument(await productVersion()), null, 2)}\n`)
