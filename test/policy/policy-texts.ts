import { type PolicySource, readPolicy } from '../../rules/policy-file.ts'
import { formatProblem } from '../../rules/problem.ts'

export function policyText(
  parts: { version?: string; effective?: string; pools?: string; more?: string } = {},
): string {
  const { version = '1.0', effective, pools = 'nov: { budget: 100 }', more = '' } = parts
  const from = effective === undefined ? '' : `, effective_from: ${effective}`
  return `policy: payout\ncurrency: EUR\npools: { ${pools} }\nmeta: { version: "${version}"${from} }\n${more}`
}

export function policySource(text: string, file = 'payout.yaml'): PolicySource {
  const reading = readPolicy({ file, text })
  if (!reading.ok) throw new Error(reading.problems.map(formatProblem).join('\n'))
  return reading.policy
}
