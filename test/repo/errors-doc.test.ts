import { expect, test } from 'vitest'
import { ERROR_KINDS } from '../../core/errors.ts'
import { projectFiles } from './source-files.ts'
import { errorsDocFindings } from './whole-repo.ts'

test('docs/errors.md lists each code of core/errors.ts, whose fault it is, whether to retry, and what to do', () => {
  const doc = projectFiles().find(({ path }) => path === 'docs/errors.md')
  expect(doc).toBeDefined()
  if (doc === undefined) return
  expect(errorsDocFindings(doc, ERROR_KINDS).map(({ line, message }) => `${line}: ${message}`)).toEqual([])
})
