/** What the sink asks of the log ends with the cut: a broker that does not answer must not hold up a stop. */
import { OncewardError } from '../../core/errors.ts'
import type { GroupConsumer } from '../../core/ports/log.ts'
import type { DeadLetters } from './dead-letters.ts'

export interface CutOff {
  /** What `work` gives; throws ONCEWARD_E_GAVE_UP once `signal` aborts. Whether the log still does it is then open. */
  until<T>(work: Promise<T>): Promise<T>
}

export function cutOffBy(signal: AbortSignal): CutOff {
  return {
    until: (work) =>
      new Promise((resolve, reject) => {
        const cut = (): void => {
          reject(new OncewardError('ONCEWARD_E_GAVE_UP', 'the sink was stopped before Kafka answered'))
        }
        if (signal.aborted) cut()
        else signal.addEventListener('abort', cut, { once: true })
        void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', cut))
      }),
  }
}

export function cutConsumer(consumer: GroupConsumer, cutOff: CutOff): Pick<GroupConsumer, 'commit'> {
  return { commit: (positions) => cutOff.until(consumer.commit(positions)) }
}

export function cutDeadLetters(deadLetters: DeadLetters, cutOff: CutOff): DeadLetters {
  return { send: (letters) => cutOff.until(deadLetters.send(letters)), close: () => deadLetters.close() }
}
