import { textOf } from './project.ts'

/** One instruction of a Dockerfile, its continuation lines joined. */
export interface Instruction {
  readonly name: string
  readonly rest: string
}

export interface Stage {
  readonly from: string
  readonly name: string | undefined
  readonly instructions: readonly Instruction[]
}

export const DOCKERFILE = 'deploy/Dockerfile'

export function stagesOf(text: string): readonly Stage[] {
  const stages: { from: string; name: string | undefined; instructions: Instruction[] }[] = []
  const joined = text.replaceAll(/^\s*#.*\n/gm, '').replaceAll(/\\\n\s*/g, '')
  for (const line of joined.split('\n').filter((each) => each.trim() !== '')) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? []
    if (name === 'FROM') {
      const [, from = '', as] = /^(\S+)(?:\s+AS\s+(\S+))?$/.exec(rest) ?? []
      stages.push({ from, name: as, instructions: [] })
    } else stages.at(-1)?.instructions.push({ name, rest })
  }
  return stages
}

/** The stage that becomes the image. */
export function finalStage(): Stage {
  const stage = stagesOf(textOf(DOCKERFILE)).at(-1)
  if (stage === undefined) throw new Error(`${DOCKERFILE} has no stage`)
  return stage
}

export function allOf(stage: Stage, name: string): readonly string[] {
  return stage.instructions.filter((each) => each.name === name).map(({ rest }) => rest)
}

/** What ENV sets: every container begins with it. */
export function imageEnvironment(): Readonly<Record<string, string>> {
  const pairs = allOf(finalStage(), 'ENV').flatMap((rest) => rest.split(/\s+/).map((pair) => pair.split('=')))
  return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]))
}
