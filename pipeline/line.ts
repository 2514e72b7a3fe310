import type { BatchContext, Operator } from '../operators/operator.ts'

type AnyOperator = Operator<unknown, unknown>

/** Operators in a row, typed so that each takes what the one before gives. */
export interface Line<In, Out> {
  to<Next>(operator: Operator<Out, Next>): Line<In, Next>
  /** The line for one batch. */
  bind(batch: BatchContext): BoundLine<In>
}

export interface BoundLine<In> {
  ask(input: In): void
  /** Asks for the state of what waits from former batches. */
  askWaiting(): void
  process(input: In): void
  /** Before the first input and after each: lets each operator release what waited, from the first to the last. */
  release(): void
  /** After the last input: lets each operator keep what is still to wait. */
  end(): void
}

export function line<In, Out>(first: Operator<In, Out>): Line<In, Out> {
  return extend([first as AnyOperator])
}

function extend<In, Out>(operators: readonly AnyOperator[]): Line<In, Out> {
  return {
    to: (operator) => extend([...operators, operator as AnyOperator]),
    bind: (batch) => bind(operators, batch),
  }
}

/** Builds the calls from the end to the front, once for each batch, so that no event allocates a closure. */
function bind<In>(operators: readonly AnyOperator[], batch: BatchContext): BoundLine<In> {
  let ask: (input: unknown) => void = end
  let process: (input: unknown) => void = end
  let askWaiting = end
  let release = end
  // Called for every event, so without the operators that release nothing.
  for (const operator of [...operators].reverse()) {
    const [nextAsk, nextProcess, nextAskWaiting, nextRelease] = [ask, process, askWaiting, release]
    ask = (input) => operator.ask(input, batch, nextAsk)
    process = (input) => operator.process(input, batch, nextProcess)
    askWaiting = () => {
      operator.askWaiting?.(batch, nextAsk)
      nextAskWaiting()
    }
    if (operator.release === undefined) continue
    release = () => {
      operator.release?.(batch, nextProcess)
      nextRelease()
    }
  }
  const endAll = (): void => {
    for (const operator of operators) operator.end?.(batch)
  }
  return { ask, process, askWaiting, release, end: endAll }
}

function end(): void {}
