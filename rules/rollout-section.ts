import { isMap, type Node } from 'yaml'
import type { Arms, CompiledRule } from './compiled.ts'
import type { Scope } from './expression-text.ts'
import { readTrigger } from './reward-section.ts'
import { armRanges } from './rollout.ts'
import { readCaps, readScore } from './score-section.ts'
import { type Entries, type Entry, readList, readMap, readNumber, readText, required } from './yaml-reader.ts'
import type { YamlSource } from './yaml-source.ts'

/** As buckets are told apart. */
export const PERCENT = { min: 0, max: 100, decimals: 2 } as const
export const EXPERIMENT_KEYS = ['id', 'arms'] as const
export const ARM_KEYS = ['name', 'weight', 'score', 'reward_trigger'] as const
const ARM_SCORE_KEYS = ['formula', 'caps'] as const
const ARMS_MAX = 20
const WEIGHT = { min: 0.01, max: 1_000_000, decimals: 2 } as const
const NAME = {
  pattern: /^[A-Za-z0-9][\w.:-]{0,63}$/,
  hint: 'an arm is named with letters, digits, _, ., : and -, at most 64',
}

/** `meta.experiment`: a name alone, or the arms among which players are divided. */
export interface Experiment {
  readonly id: string
  readonly arms: readonly Arm[]
}

/** What an arm has in place of what the rule has. */
interface Arm {
  readonly name: string
  readonly weight: number
  readonly changes: Partial<Pick<CompiledRule, 'points' | 'caps' | 'trigger'>>
}

export function readExperiment(source: YamlSource, entry: Entry | undefined, scope: Scope): Experiment | undefined {
  if (entry === undefined) return undefined
  if (!isMap(entry.value)) {
    const id = readText(source, entry)
    return id === undefined ? undefined : { id, arms: [] }
  }
  const keys = readMap(source, entry.value, 'experiment', EXPERIMENT_KEYS)
  if (keys === undefined) return undefined
  const id = readText(source, required(source, keys, 'id', { node: entry.key, hint: 'write id: december_ab' }))
  const hint = 'write arms: [{ name: control }, { name: double, score: { formula: "2" } }]'
  const list = required(source, keys, 'arms', { node: entry.key, hint })
  const arms = list && readArms(source, list, scope)
  return id === undefined || arms === undefined ? undefined : { id, arms }
}

/** The rule with the variant of each arm. */
export function withArms(rule: CompiledRule, experiment: Experiment | undefined): CompiledRule {
  if (experiment === undefined || experiment.arms.length === 0) return rule
  const { id, arms } = experiment
  const variants = arms.map(({ name, weight, changes }) => ({ rule: { ...rule, arm: name, ...changes }, weight }))
  return { ...rule, arms: { seed: id, variants } satisfies Arms }
}

function readArms(source: YamlSource, list: Entry, scope: Scope): readonly Arm[] | undefined {
  const nodes = readList(list)
  if (nodes.length < 2 || nodes.length > ARMS_MAX) {
    source.report(list.value, wrongValue(`an experiment has from 2 to ${ARMS_MAX} arms, not ${nodes.length}`))
    return undefined
  }
  const arms = nodes.map((node) => readArm(source, node, scope))
  const read = arms.filter((arm) => arm !== undefined)
  if (read.length < arms.length) return undefined
  const names = read.map(({ name }) => name)
  for (const [i, name] of names.entries()) {
    const node = nodes[i] ?? list.value
    if (names.indexOf(name) < i) source.report(node, wrongValue(`there are two arms named ${name}`))
  }
  // Only the weights count here.
  const weights = read.map(({ weight }) => ({ weight }))
  for (const [i, { from, below }] of armRanges({ seed: '', variants: weights }).entries()) {
    if (from < below) continue
    const message = `the weight of ${names[i]} is less than a hundredth of a percent of all: nobody would be in it`
    source.report(nodes[i] ?? list.value, wrongValue(message))
  }
  return read
}

function readArm(source: YamlSource, node: Node, scope: Scope): Arm | undefined {
  const keys = readMap(source, node, 'an arm', ARM_KEYS)
  if (keys === undefined) return undefined
  const name = readText(source, required(source, keys, 'name', { node, hint: 'write name: control' }), NAME)
  const weight = keys.has('weight') ? readNumber(source, keys.get('weight'), WEIGHT) : 1
  const changes = { ...readArmScore(source, keys, scope), ...readArmTrigger(source, keys, scope) }
  return name === undefined || weight === undefined ? undefined : { name, weight, changes }
}

/** Its zone is the rule's: calendar days must not differ from player to player. */
function readArmScore(source: YamlSource, arm: Entries, scope: Scope): Arm['changes'] {
  const entry = arm.get('score')
  const keys = entry && readMap(source, entry.value, 'the score of an arm', ARM_SCORE_KEYS)
  if (entry === undefined || keys === undefined) return {}
  const score = readScore(source, { entry, keys, zone: scope.zone }, scope)
  return score === undefined ? {} : { points: score.points, caps: readCaps(source, keys.get('caps')) }
}

function readArmTrigger(source: YamlSource, arm: Entries, scope: Scope): Arm['changes'] {
  const entry = arm.get('reward_trigger')
  const trigger = entry && readTrigger(source, entry, scope)
  return trigger === undefined ? {} : { trigger }
}

function wrongValue(message: string): { code: 'ONCEWARD_E_RULE_WRONG_VALUE'; message: string } {
  return { code: 'ONCEWARD_E_RULE_WRONG_VALUE', message }
}
