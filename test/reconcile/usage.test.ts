import { expect, test } from 'vitest'
import { runCli } from '../cli/process.ts'

const DB = ['--db', 'postgres://nobody@127.0.0.1:9/nothing?sslmode=disable']

test.each([
  [['reconcile'], 2, /--db/],
  [['reconcile', ...DB, '--period', 'november'], 2, /is no year, month or day/],
  [['reconcile', ...DB, '--columns', 'id=x'], 2, /--columns: "id=x" cannot be read; write FIELD=NAME/],
  [['reconcile', ...DB, '--states', 'gebucht=good'], 2, /--states: "gebucht=good" cannot be read; write WORD=STATE/],
  [['reconcile', ...DB, '--delimiter', '::'], 2, /is more than one character/],
  [['reconcile', ...DB], 1, /ONCEWARD_E_LEDGER_UNAVAILABLE/],
] as const)('%j ends with %i', async (args, code, says) => {
  const ended = await runCli(args)
  expect([ended.code, ended.stderr]).toEqual([code, expect.stringMatching(says)])
})
