import { OncewardError } from '../../core/errors.ts'

export function outOfRange(place: string, offset: number): OncewardError {
  return new OncewardError(
    'ONCEWARD_E_LOG_OFFSET_OUT_OF_RANGE',
    `offset ${offset} of ${place} is out of range (a simulated fault)`,
  )
}

export function unavailable(place: string): OncewardError {
  return new OncewardError('ONCEWARD_E_LOG_UNAVAILABLE', `the log did not answer ${place} (a simulated fault)`)
}
