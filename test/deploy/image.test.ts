import { expect, test } from 'vitest'
import { allOf, DOCKERFILE, finalStage, imageEnvironment, type Stage, stagesOf } from './image.ts'
import { isThere, textOf } from './project.ts'
import { variableOf } from '../../cli/settings/setting.ts'
import { COMMANDS } from '../../cli/commands.ts'

const stages = stagesOf(textOf(DOCKERFILE))
const stage = (name: string): Stage => {
  const found = stages.find((each) => each.name === name)
  if (found === undefined) throw new Error(`${DOCKERFILE} has no stage ${name}`)
  return found
}

/** The sources of each COPY that takes from the build's context. */
function contextSources(of: Stage): string[] {
  return allOf(of, 'COPY')
    .filter((rest) => !rest.startsWith('--from='))
    .flatMap((rest) => rest.split(/\s+/).slice(0, -1))
}

test('what is copied exists, and .dockerignore lets it through', () => {
  const [first, ...allowed] = textOf('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  expect(first).toBe('*')
  expect(stages.flatMap(contextSources).filter((source) => !isThere(source))).toEqual([])
  for (const source of stages.flatMap(contextSources)) {
    expect(allowed).toContain(`!${source}`)
  }
  expect(allowed.filter((line) => !isThere(line.slice(1)))).toEqual([])
  // deploy/secrets lies on the machine that builds.
  expect(allowed.filter((line) => /^!(deploy|\.git|node_modules|test|\*)/.test(line))).toEqual([])
})

test('the build has every folder that the compiler and the build script take', () => {
  const { include } = JSON.parse(textOf('tsconfig.build.json')) as { include: string[] }
  const built = /const folders = \[(.*)\]/.exec(textOf('cli/build.mjs'))?.[1] ?? ''
  const assets = [...built.matchAll(/'(\w+)'/g)].flatMap(([, folder]) => folder ?? [])
  expect(assets.length).toBeGreaterThan(5)
  expect(contextSources(stage('build'))).toEqual(expect.arrayContaining([...include, ...assets, 'tsconfig.json']))
})

test('nothing but the last stage is needed at run time, and it copies from stages that exist', () => {
  const from = allOf(finalStage(), 'COPY').flatMap((rest) => /^--from=(\S+)/.exec(rest)?.[1] ?? [])
  expect(from.toSorted()).toEqual(['build', 'modules'])
  for (const name of from) expect(stage(name).from).toBe(finalStage().from)
  expect(allOf(finalStage(), 'RUN').filter((run) => /\bnpm\b/.test(run))).toEqual([])
  // The version is read from it, and "type": "module" stands in it.
  expect(contextSources(finalStage())).toContain('package.json')
})

test('it runs as another user than root, on the folder for the state that this user owns', () => {
  const image = finalStage()
  expect(allOf(image, 'USER')).toEqual(['node'])
  const state = imageEnvironment()['ONCEWARD_STATE']
  expect(allOf(image, 'VOLUME')).toEqual([state])
  expect(allOf(image, 'RUN').join('\n')).toContain(`chown node:node ${state}`)
})

test('its variables are settings of Onceward, and the health check asks the port that is set', () => {
  const known = new Set(COMMANDS.flatMap(({ settings }) => settings.map(variableOf)))
  const environment = imageEnvironment()
  const ours = Object.keys(environment).filter((name) => name.startsWith('ONCEWARD_'))
  expect(ours.filter((name) => !known.has(name))).toEqual([])
  expect(allOf(finalStage(), 'EXPOSE')).toEqual([environment['ONCEWARD_METRICS_PORT']])
  const [check = ''] = allOf(finalStage(), 'HEALTHCHECK')
  const command = JSON.parse(check.slice(check.indexOf('['))) as string[]
  expect(command.join(' ')).toMatch(/process\.env\.ONCEWARD_METRICS_PORT \+ '\/readyz'/)
})

test('node itself is the first process, with the flag that the binary has', () => {
  const [entry = '[]'] = allOf(finalStage(), 'ENTRYPOINT')
  const [node, flag, main = ''] = JSON.parse(entry) as string[]
  expect(node).toBe('node')
  expect(textOf('cli/main.ts').split('\n')[0]).toBe(`#!/usr/bin/env -S node ${flag}`)
  expect(main).toBe((JSON.parse(textOf('package.json')) as { bin: { onceward: string } }).bin.onceward)
  expect(isThere(main.replace(/^dist\//, '').replace(/js$/, 'ts'))).toBe(true)
})

test('it takes a Node that the package asks for', () => {
  const { engines } = JSON.parse(textOf('package.json')) as { engines: { node: string } }
  const major = /^node:(\d+)-bookworm-slim$/.exec(finalStage().from)?.[1]
  expect(engines.node).toMatch(new RegExp(`^>=${major}\\.`))
})

test('what is taken out of the modules is there to be taken out, and what is loaded stays', () => {
  const [install = ''] = allOf(stage('modules'), 'RUN')
  expect(install).toMatch(/^npm ci --omit=dev --omit=optional --ignore-scripts /)
  const removed = install
    .slice(install.indexOf('rm -rf'))
    .split(/\s+/)
    .filter((word) => word.startsWith('node_modules/'))
  expect(removed).not.toHaveLength(0)
  expect(removed.filter((path) => !isThere(path))).toEqual([])
  const loaded = 'node_modules/rocksdb/prebuilds/linux-x64/node.napi.glibc.node'
  expect(isThere(loaded)).toBe(true)
  expect(removed.filter((path) => loaded.startsWith(path))).toEqual([])
})
