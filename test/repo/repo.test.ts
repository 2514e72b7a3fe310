import { readdirSync } from 'node:fs'
import { expect, test } from 'vitest'
import { boundaryFindings } from './boundaries.ts'
import { type Finding, isCode, PROJECT, projectFiles } from './source-files.ts'
import { ambientFindings, leftoverFindings, namingFindings, sizeFindings } from './tidiness.ts'
import { folderMapFindings, orphanFindings } from './whole-repo.ts'

const files = projectFiles()
const code = files.filter(isCode)

function expectNone(findings: readonly Finding[]): void {
  expect(findings.map(({ path, line, message }) => `${path}:${line}: ${message}`)).toEqual([])
}

test('imports point one way, and each driver is seen in one folder only', () => {
  expectNone(code.flatMap(boundaryFindings))
})

test('files and functions are short enough to be read in one go', () => {
  expectNone(code.flatMap(sizeFindings))
})

test('nothing but the clock, the random source and the command line reads time, chance or environment', () => {
  expectNone(code.flatMap(ambientFindings))
})

test('nothing is left over', () => {
  expectNone(files.flatMap(leftoverFindings))
})

test('files are named in kebab-case, folders after what they are about, exports have names', () => {
  expectNone(code.flatMap(namingFindings))
})

test('every file is imported by another one, or starts by itself', () => {
  expectNone(orphanFindings(files))
})

test("the README's folder map lists the folders that there are", () => {
  const readme = files.find(({ path }) => path === 'README.md')
  if (readme === undefined) return
  const folders = readdirSync(PROJECT, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  expectNone(
    folderMapFindings(
      readme,
      folders.map(({ name }) => name),
    ),
  )
})
