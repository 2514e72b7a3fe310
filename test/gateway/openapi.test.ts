import { readFile } from 'node:fs/promises'
import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { openApiDocument } from '../../connectors/gateway/openapi.ts'
import { productVersion } from '../../cli/version.ts'

const DOCUMENT = 'docs/openapi.json'

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(structuredClone(openApiDocument('1.0.0')))
  expect(result).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
  validator.resolveRefs()
})

test(`${DOCUMENT} is what the gateway serves; write it anew where this fails: npx tsx test/gateway/write-openapi.ts`, async () => {
  expect(JSON.parse(await readFile(DOCUMENT, 'utf8'))).toEqual(openApiDocument(await productVersion()))
})
