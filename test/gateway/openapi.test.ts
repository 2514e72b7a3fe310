import { Validator } from '@seriousme/openapi-schema-validator'
import { expect, test } from 'vitest'
import { openApiDocument } from '../../connectors/gateway/openapi.ts'
import { productVersion } from '../../cli/version.ts'

test('the document is valid OpenAPI 3.1', async () => {
  const validator = new Validator()
  const result = await validator.validate(structuredClone(openApiDocument('1.0.0')))
  expect(result).toMatchObject({ valid: true })
  expect(validator.version).toBe('3.1')
  validator.resolveRefs()
})

test('docs/openapi.json is what the gateway serves; vitest -u writes it anew', async () => {
  const document = openApiDocument(await productVersion())
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../../docs/openapi.json')
})
