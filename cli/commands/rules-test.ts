import { messageOf } from '../../core/errors.ts'
import { command } from '../command.ts'
import { setting } from '../settings/setting.ts'
import { schemas } from '../settings/shared.ts'

const dir = setting('dir', {
  type: 'path',
  required: true,
  positional: true,
  placeholder: 'DIR',
  help: 'folder with rules and their tests (my_rule.yaml, my_rule.test.yaml), or one test file',
})

const watch = setting('watch', { type: 'flag', help: 'run again whenever a file of the folder changes, until Ctrl-C' })

export const rulesTest = command({
  name: 'rules test',
  group: 'Rules',
  summary: 'run the tests of rules: given events, expected scores, rewards and reasons',
  description: `
    A test is given events in short, on a clock of its own ("day 3 at 10:00", "+30s"), and says which points, scores,
    rewards, withheld rewards and rejections it expects. The events pass through the operators of a worker, so what a test
    sees is what players will get. docs/RULES.md shows how a test is written.

    Prints each test with what was expected and received, and for each rule what no test has exercised: filters that never
    held or never failed, caps that never cut, thresholds never crossed. The exit code is 1 where a test fails.`,
  examples: [
    { line: 'onceward rules test examples/rules', says: 'the tests of the example rules' },
    { line: 'onceward rules test rules --watch', says: 'again at every change, while a rule is written' },
  ],
  settings: [dir, watch, schemas],
  async run(context) {
    const { settings, signal, clock, terminal } = context
    const { COLOURED, fileText, hasPassed, PLAIN, summaryText } = await import('../rule-tests/output.ts')
    const { runTestFile, testFilesIn } = await import('../rule-tests/session.ts')
    const { loadNormalizer } = await import('../runtime.ts')
    const paint = process.stdout.isTTY && process.env['NO_COLOR'] === undefined ? COLOURED : PLAIN
    const normalize = await loadNormalizer(settings.schemas)
    const runAll = async (): Promise<boolean> => {
      const startedMs = clock.monotonic()
      const results = []
      for (const file of await testFilesIn(settings.dir)) {
        signal.throwIfAborted()
        const result = await runTestFile(file, normalize)
        results.push(result)
        await terminal.print(fileText(result, paint))
      }
      await terminal.print(summaryText(results, (clock.monotonic() - startedMs) / 1000, paint))
      return results.every(hasPassed)
    }
    if (!settings.watch) return (await runAll()) ? 0 : 1
    const { whenChanged } = await import('../rule-tests/watch.ts')
    await runAll()
    for await (const _ of whenChanged(settings.dir, signal)) {
      await runAll().catch((error: unknown) => {
        if (!signal.aborted) terminal.note(messageOf(error))
      })
    }
    return 0
  },
})
