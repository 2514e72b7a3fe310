import { OncewardError } from '../../core/errors.ts'
import { type CompiledMapping, compileMapping } from '../../rules/mapping.ts'
import { formatProblem } from '../../rules/problem.ts'
import type { RuleFile } from '../../rules/yaml-source.ts'

/** The mapping of a file. Throws ONCEWARD_E_MAPPING_INVALID with all problems at once, each with its place. */
export function mappingOf(file: RuleFile): CompiledMapping {
  const reading = compileMapping(file)
  if (reading.ok) return reading.mapping
  const { problems } = reading
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
  const told = problems.map(formatProblem).join('\n')
  throw new OncewardError('ONCEWARD_E_MAPPING_INVALID', `${count} in the mapping:\n${told}`)
}
