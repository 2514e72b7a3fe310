import { describe, expect, test } from 'vitest'
import { decideRecovery, type RecoveryFacts } from '../../state/recovery.ts'
import { STORE_FORMAT, type Stamp } from '../../state/stamp.ts'

const stamp: Stamp = {
  format: STORE_FORMAT,
  application: 'app',
  partition: 3,
  inputOffset: 100,
  changelogOffset: 500,
  writtenAt: 1_000,
}

const level: RecoveryFacts = {
  application: 'app',
  partition: 3,
  committed: 100,
  stamp,
  input: { earliest: 0, end: 200 },
  changelog: { earliest: 0, end: 501 },
  now: 2_000,
  deleteRetentionMs: 86_400_000,
}

const rows: [name: string, change: Partial<RecoveryFacts>, kind: string, says: RegExp][] = [
  ['a store at the committed offset is ready', {}, 'ready', /offset 100/],
  ['a store behind the commit replays the tail', { committed: 120 }, 'replay-tail', /stands at input offset 100/],
  [
    'nothing processed yet is ready',
    { committed: undefined, stamp: undefined, changelog: { earliest: 0, end: 0 } },
    'ready',
    /nothing/,
  ],
  [
    'a commit at 0 and no store is ready',
    { committed: 0, stamp: undefined, changelog: { earliest: 0, end: 0 } },
    'ready',
    /nothing/,
  ],
  ['no store but a changelog is rebuilt', { stamp: undefined }, 'rebuild', /no store/],
  ['a store without a readable stamp is rebuilt', { stamp: 'unreadable' }, 'rebuild', /stamp/],
  ["another application's store is rebuilt", { stamp: { ...stamp, application: 'b' } }, 'rebuild', /"b"/],
  ["another partition's store is rebuilt", { stamp: { ...stamp, partition: 4 } }, 'rebuild', /partition 4/],
  ['a store of another format is rebuilt', { stamp: { ...stamp, format: 0 } }, 'rebuild', /format 0/],
  ['a store ahead of the commit is rebuilt', { stamp: { ...stamp, inputOffset: 101 } }, 'rebuild', /ahead/],
  [
    'a store whose changelog was compacted away before its offset is rebuilt',
    { committed: 120, changelog: { earliest: 501, end: 600 } },
    'rebuild',
    /before the changelog's first/,
  ],
  ['a store that may have missed tombstones is rebuilt', { committed: 120, now: 86_401_000 }, 'rebuild', /tombstones/],
  ['an old store that is level is ready all the same', { now: 90_000_000 }, 'ready', /offset 100/],
  ['a group that forgot its offsets is replayed, not restarted', { committed: undefined }, 'replay-tail', /none/],
  ['unread events lost to retention are refused', { input: { earliest: 101, end: 200 } }, 'refuse', /retention/],
  ['a topic created anew is refused', { input: { earliest: 0, end: 99 } }, 'refuse', /created again/],
  ['a changelog that lost its tail is refused', { changelog: { earliest: 0, end: 499 } }, 'refuse', /truncated/],
  [
    'no store and no changelog after work was done is refused',
    { stamp: undefined, changelog: { earliest: 0, end: 0 } },
    'refuse',
    /is empty although events/,
  ],
]

describe('recovery is decided from facts alone', () => {
  test.each(rows)('%s', (_name, change, kind, says) => {
    const recovery = decideRecovery({ ...level, ...change })
    expect(recovery.kind).toBe(kind)
    expect(recovery.reason).toMatch(says)
  })

  test('the tail begins where the store ends', () => {
    expect(decideRecovery({ ...level, committed: 120 })).toMatchObject({ kind: 'replay-tail', from: 500 })
  })
})
