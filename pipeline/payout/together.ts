/** Does in groups what is asked for one by one: while one group is under way, what arrives waits and goes in the next. */

interface Waiting<In, Out> {
  readonly item: In
  readonly done: (answer: Out) => void
  readonly failed: (error: unknown) => void
}

/**
 * `work` answers for each item of its group. A group begins with what was asked in the same turn. The number waiting is
 * bounded by those who ask, each of whom waits for its own answer.
 */
export function together<In, Out>(
  work: (items: readonly In[]) => Promise<(item: In) => Out>,
): (item: In) => Promise<Out> {
  let queue: Waiting<In, Out>[] = []
  let busy = false
  const flush = async (): Promise<void> => {
    await Promise.resolve()
    while (queue.length > 0) {
      const group = queue
      queue = []
      try {
        const answerFor = await work(group.map(({ item }) => item))
        for (const { item, done } of group) done(answerFor(item))
      } catch (error) {
        for (const waiting of group) waiting.failed(error)
      }
    }
    busy = false
  }
  return (item) =>
    new Promise((done, failed) => {
      queue.push({ item, done, failed })
      if (busy) return
      busy = true
      void flush()
    })
}
