import { afterEach, describe, expect, test } from 'vitest'
import { PartitionStore } from '../../state/partition-store.ts'
import { Disk } from '../support/disk.ts'
import { generatedBets, RULE_FILES } from '../support/generated-bets.ts'
import { SHARED_RULES } from '../support/shared-rules.ts'
import { APPLICATION, expectFold, expectReference, Lab, type RunningWorker } from '../support/worker-harness.ts'

const LINES = generatedBets(1_200, 11)
const PARTITIONS = 4

let lab: Lab
afterEach(async () => lab.close())

async function open(): Promise<void> {
  lab = await Lab.open({ partitions: PARTITIONS, rules: RULE_FILES })
}

/** Waits until each of the worker's stores accounts for all input, whether it owns the partition or keeps a copy. */
function copied({ disk }: RunningWorker): Promise<void> {
  return lab.until('the copies are level', async () => {
    const inputs = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: lab.topics.events, partition }))
    const committed = await lab.log.committed(APPLICATION, inputs)
    for (const { partition } of inputs) {
      const stamp = await new PartitionStore(disk.store(partition)).stamp()
      if (stamp === undefined || stamp === 'unreadable' || stamp.inputOffset !== committed[partition]) return false
    }
    return true
  })
}

describe('a worker that keeps copies', () => {
  test('has the fold of every changelog on its disk, its own and the copies', async () => {
    await open()
    const [one, two] = [lab.start({ standby: 1 }), lab.start({ standby: 1 })]
    await lab.produce(LINES)
    await lab.caughtUp()
    for (const worker of [one, two]) {
      await copied(worker)
      for (let partition = 0; partition < PARTITIONS; partition++) await expectFold(lab, worker.disk, partition)
      expect(worker.disk.openStores).toBe(PARTITIONS)
    }
    await Promise.all([one.stop(), two.stop()])
    expect([one.disk.openStores, two.disk.openStores]).toEqual([0, 0])
  })

  test('takes over from one that is killed without a rebuild, in mid-flow, and the totals are right', async () => {
    await open()
    const [one, two] = [lab.start({ standby: 1 }), lab.start({ standby: 1 })]
    await lab.produce(LINES.slice(0, 600))
    await lab.caughtUp()
    await copied(two)
    await lab.produce(LINES.slice(600))
    const before = two.decisions.length
    await one.kill()
    await lab.caughtUp()
    const after = two.decisions.slice(before)
    expect(after.length).toBe(PARTITIONS / 2)
    for (const decision of after) expect(decision).toMatch(/^(ready|replay-tail)$/)
    // The copy let go of the store before the partition was opened.
    expect(two.warnings).toEqual([])
    await expectReference(lab, SHARED_RULES)
    for (let partition = 0; partition < PARTITIONS; partition++) await expectFold(lab, two.disk, partition)
  })

  test('hands over and stands by for what it has handed over: back and forth nothing is rebuilt twice', async () => {
    await open()
    const disks = [new Disk(), new Disk()]
    let workers = disks.map((disk) => lab.start({ standby: 1, disk }))
    await lab.produce(LINES.slice(0, 300))
    await lab.caughtUp()
    for (const worker of workers) await copied(worker)
    for (let turn = 0; turn < 4; turn++) {
      const [leaving, staying] = turn % 2 === 0 ? workers : [...workers].reverse()
      if (leaving === undefined || staying === undefined) throw new Error('there are two workers')
      const before = staying.decisions.length
      await leaving.stop()
      await lab.produce(LINES.slice(300 + turn * 200, 500 + turn * 200))
      await lab.caughtUp()
      const back = lab.start({ standby: 1, disk: leaving.disk })
      workers = workers.map((worker) => (worker === leaving ? back : worker))
      await lab.until('it is back', () => back.decisions.length === PARTITIONS / 2)
      await copied(back)
      await copied(staying)
      expect([...back.decisions, ...staying.decisions.slice(before)]).not.toContain('rebuild')
    }
    await expectReference(lab, SHARED_RULES)
    await Promise.all(workers.map((worker) => worker.stop()))
    for (const disk of disks) for (let p = 0; p < PARTITIONS; p++) await expectFold(lab, disk, p)
  })

  test('owns nothing where there are fewer partitions than workers, and takes over all the same', async () => {
    lab = await Lab.open({ partitions: 1, rules: RULE_FILES })
    const owner = lab.start({ standby: 1 })
    await lab.produce(LINES.slice(0, 200))
    await lab.caughtUp()
    const spare = lab.start({ standby: 1 })
    await lab.until('the spare is level', () => spare.infos.includes('standby copy is level'))
    expect(spare.decisions).toEqual([])
    await owner.stop()
    await lab.until('the spare has taken over', () => spare.decisions.length > 0)
    expect(spare.decisions).toEqual(['ready'])
  })

  test('no copies are kept where nobody asks for any', async () => {
    await open()
    const [one, two] = [lab.start(), lab.start()]
    await lab.produce(LINES.slice(0, 300))
    await lab.caughtUp()
    expect(one.disk.openStores + two.disk.openStores).toBe(PARTITIONS)
  })

  test('a copy that cannot be written is begun again, and the worker goes on with its own', async () => {
    await open()
    const disk = new Disk()
    const one = lab.start({ standby: 1 })
    const two = lab.start({ standby: 1, disk })
    await lab.produce(LINES.slice(0, 300))
    await lab.caughtUp()
    const own = new Set(two.opened)
    let refusals = 3
    disk.beforeWrite = (partition) => {
      if (!own.has(partition) && refusals-- > 0) throw new Error('no space left on device')
    }
    await lab.produce(LINES.slice(300))
    await lab.caughtUp()
    await copied(two)
    expect(two.warnings.filter((line) => line.startsWith('a standby copy failed')).length).toBeGreaterThan(0)
    await one.kill()
    await lab.caughtUp()
    await expectReference(lab, SHARED_RULES)
  })
})
