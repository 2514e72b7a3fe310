import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { manualTaskId, requestIdOf } from '../../core/ids.ts'
import { runLine, type Ran } from './command-line.ts'
import { audited, EXCLUDED, give, type Office, player, pool, requireBalance, standing, startOffices } from './office.ts'

let offices: Awaited<ReturnType<typeof startOffices>>
let office: Office
let dir = ''
beforeAll(async () => {
  offices = await startOffices()
  dir = await mkdtemp(join(tmpdir(), 'onceward-office-'))
})
afterAll(async () => {
  await offices.stop()
  await rm(dir, { recursive: true, force: true })
})
beforeEach(async () => {
  office = await offices.open()
})
afterEach(async () => {
  await requireBalance(office)
  await office.close()
})

const run = (...line: string[]): Promise<Ran> => runLine(office, line)
async function file(name: string, text: string): Promise<string> {
  const path = join(dir, name)
  await writeFile(path, text)
  return path
}
const lines = (ran: Ran): Record<string, unknown>[] =>
  ran.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('a dry run first', () => {
  test('nothing is changed without a yes, and it is said what would be', async () => {
    await pool(office, 'season', { budget: '15.00' })
    for (const id of ['rt_1', 'rt_2']) await give(office, { id, status: 'held' })
    const dry = await run('holds', 'approve', 'rt_1', 'rt_2', '--task', 'rt_3', '--reason', 'fine')
    expect(dry.code).toBe(1)
    expect(dry.stdout).toMatch(/rt_1 +u_1 +held +reserved +10\.00 +season/)
    expect(dry.stdout).toMatch(/rt_2 +refused +it costs 10\.00, and 5\.00 of 15\.00 is left/)
    expect(dry.stdout).toMatch(/rt_3 +refused +there is no such reward/)
    expect(dry.stdout).toContain('dry run: 1 done, 2 refused')
    expect(dry.stdout).toMatch(/season +all +10\.00 +5\.00/)
    expect(dry.notes).toContain('--yes')
    expect(await standing(office, 'rt_1')).toMatchObject({ status: 'held' })
    expect(await audited(office)).toEqual([])
  })

  test('--yes carries it out, and a repeat changes nothing', async () => {
    for (const id of ['rt_1', 'rt_2']) await give(office, { id, status: 'reserved' })
    const done = await run('rewards', 'freeze', '--pool', 'season', '--reason', 'stop', '--yes', '--as', 'bob')
    expect([done.code, done.notes]).toEqual([0, 'freeze: 2 done\n'])
    const again = await run('rewards', 'freeze', 'rt_1,rt_2', '--reason', 'stop', '--yes')
    expect([again.code, again.stdout.includes('2 so already')]).toEqual([0, true])
    expect((await audited(office)).map(({ actor, action }) => [actor, action])).toEqual([
      ['bob', 'reward.frozen'],
      ['bob', 'reward.frozen'],
    ])
  })

  test('what a person decided is told to the one who comes after', async () => {
    await give(office, { id: 'rt_1', status: 'held' })
    expect(await run('holds', 'reject', 'rt_1', '--reason', 'a bot', '--yes', '--as', 'bob')).toMatchObject({ code: 0 })
    const late = await run('holds', 'approve', 'rt_1', '--reason', 'fine', '--yes', '--json')
    expect(late.code).toBe(1)
    expect(lines(late)[0]).toMatchObject({
      kind: 'refused',
      code: 'ONCEWARD_E_HOLD_DECIDED',
      detail: expect.stringMatching(/^bob rejected it at .* \(a bot\); it is voided$/),
    })
  })

  test('many are done in several transactions, between which it can be stopped and taken up again', async () => {
    const ids = Array.from({ length: 450 }, (_, n) => `rt_${n}`)
    for (const id of ids) await give(office, { id, status: 'reserved', cost: '1.00' })
    const stop = new AbortController()
    const path = await file('ids.csv', `id\n${ids.join('\n')}\n`)
    const line = ['rewards', 'freeze', '--file', path, '--reason', 'stop', '--yes', '--json']
    // Stops once the first transaction has told of itself.
    const signal = stop.signal
    const onPrint = (text: string): void => {
      if (text.startsWith('{"phase":"done","kind"')) stop.abort()
    }
    const stopped = await runLine(office, line, { signal, onPrint })
    expect(stopped.code).toBeUndefined()
    expect(stopped.notes).toContain('stopped after 200 of 450 rewards; the same command again goes on')
    const rest = await runLine(office, line)
    expect(rest.code).toBe(0)
    expect(lines(rest).at(-1)).toMatchObject({ phase: 'done', done: 250, unchanged: 200, refused: 0 })
  })
})

describe('whom and for what', () => {
  test.each([
    [['holds', 'approve', '--reason', 'x'], 'it is not said for which rewards'],
    [['holds', 'approve', 'rt_1', '--pool', 'p', '--reason', 'x'], 'in more than one way'],
    [['holds', 'approve', 'rt_1'], '--reason'],
    [['rewards', 'issue', '--user', 'u_1', '--reason', 'x'], 'say what to issue'],
    [['holds', 'list', '--min-cost', '1,5'], 'is no amount'],
    [['holds', 'approve', 'rt_1', '--reason', 'x', '--as', 'sink'], 'not the name of a person'],
  ])('%j is wrong: %s', async (line, says) => {
    const { error } = await run(...line)
    expect(error?.code).toMatch(/^ONCEWARD_E_(USAGE|SETTING_INVALID)$/)
    expect(error?.message).toContain(says)
  })

  test('a request id is as good as a task id', async () => {
    await give(office, { id: 'rt_1', status: 'held' })
    const { code } = await run('holds', 'reject', requestIdOf('rt_1'), '--reason', 'no', '--yes')
    expect([code, await standing(office, 'rt_1')]).toMatchObject([0, { status: 'voided' }])
  })

  test('holds list shows what fits its filters, with why and for how long', async () => {
    await give(office, { id: 'rt_1', status: 'held', cost: '500.00', approvals: 2 })
    await give(office, { id: 'rt_2', status: 'held', pool: 'other', holds: [{ by: 'sharp_rise', detail: 'fast' }] })
    await give(office, { id: 'rt_3', status: 'reserved' })
    await run('holds', 'assign', 'rt_1', '--to', 'carol', '--reason', 'knows him', '--yes')
    const all = await run('holds', 'list')
    expect(all.stdout).toMatch(
      /rt_1 +u_1 +cash 500\.00 EUR +500\.00 +season +\S+ +carol +0 of 2 +large_prize: it is large/,
    )
    expect(all.stdout).toContain('2 shown, 510.00 in all')
    const ids = async (...filters: string[]): Promise<unknown> => {
      const [page] = lines(await run('holds', 'list', '--json', ...filters))
      return ((page ?? {})['holds'] as { taskId: string }[]).map(({ taskId }) => taskId)
    }
    expect(await ids('--pool', 'other')).toEqual(['rt_2'])
    expect(await ids('--held-by', 'sharp_rise')).toEqual(['rt_2'])
    expect(await ids('--assignee', 'carol')).toEqual(['rt_1'])
    expect(await ids('--assignee', 'nobody')).toEqual(['rt_2'])
    expect(await ids('--min-cost', '500')).toEqual(['rt_1'])
    expect(await ids('--older-than', '1h')).toEqual([])
  })

  test('holds show tells a reviewer of player, pool, reviews and history', async () => {
    await player(office, 'u_1', { kyc: 1, restrictions: [EXCLUDED] })
    await give(office, { id: 'rt_1', status: 'held', kyc: 2, approvals: 2 })
    await office.office.carryOut(
      { actor: 'eve', reason: 'hm', override: false, kycUnknown: 0, reviewFrom: null, name: 'assign', to: 'x' },
      ['rt_1'],
    )
    const { stdout } = await run('holds', 'show', 'rt_1')
    expect(stdout).toContain('KYC level 1 (2 is asked), self_exclusion')
    expect(stdout).toContain('0.00 spent, 0.00 reserved of 1000.00')
    expect(stdout).toContain('needs 2 people, assigned to x')
    expect(stdout).toContain('hold.assigned')
    const json = await run('rewards', 'show', 'rt_1', '--json')
    expect(JSON.parse(json.stdout)).toMatchObject({ taskId: 'rt_1', cost: '10.00', requestId: requestIdOf('rt_1') })
  })
})

describe('rewards issue', () => {
  const HEAD = 'user_id,type,amount,currency,pool,reference,reason,kyc_level,cost,reward.rarity'

  test('a file gives each of its rewards once, however often it is issued', async () => {
    await pool(office)
    await player(office, 'u_1', { kyc: 2 })
    await player(office, 'u_2', { kyc: 2, restrictions: [EXCLUDED] })
    const path = await file(
      'good.csv',
      `${HEAD}\r\nu_1,cash,5.50,EUR,season,t1,"sorry, really",,,\r\nu_2,cash,5,EUR,season,t1,,,,\nu_1,loot,,,season,t2,,,1.25,rare\n`,
    )
    const line = ['rewards', 'issue', '--file', path, '--reason', 'outage', '--yes'] as const
    expect(await run(...line)).toMatchObject({ code: 0, notes: 'issue: 3 done\n' })
    expect(await run(...line)).toMatchObject({ code: 0, stdout: expect.stringContaining('3 so already') })
    expect(await standing(office, manualTaskId('u_2', 't1'))).toMatchObject({ status: 'frozen', frozen_by: 'sink' })
    const first = await office.office.reward(manualTaskId('u_1', 't1'))
    expect(first).toMatchObject({
      status: 'reserved',
      value: 550n,
      history: [{}, { reason: 'sorry, really', actor: 'ann' }],
    })
    const loot = await office.office.reward(manualTaskId('u_1', 't2'))
    expect(loot).toMatchObject({ cost: 125n, reward: { type: 'loot', rarity: 'rare' }, kycRequired: 0 })
    expect(await office.office.budgets()).toMatchObject([{ reserved: 675n }])
  })

  test('one that flags describe, asked for the KYC level of its type', async () => {
    await pool(office)
    const line = [
      'rewards',
      'issue',
      '--user',
      'u_9',
      '--type',
      'cash',
      '--amount',
      '2',
      '--currency',
      'EUR',
      '--pool',
      'season',
    ]
    const { code } = await run(...line, '--reference', 'x', '--reason', 'y', '--yes')
    expect(code).toBe(0)
    expect(await office.office.reward(manualTaskId('u_9', 'x'))).toMatchObject({
      status: 'frozen',
      kycRequired: 2,
      freeze: { by: 'manual' },
    })
  })

  test('a file with lines that cannot be read gives nothing, and all of them are named', async () => {
    await pool(office)
    const bad = [
      HEAD,
      'u_1,cash,5,EUR,season,ok,r,,,',
      ',cash,5,EUR,season,a,r,,,',
      'u_1,cash,-5,EUR,season,b,r,,,',
      'u_1,cash,NaN,EUR,season,c,r,,,',
      'u_1,cash,5.001,EUR,season,d,r,,,',
      'u_1,cash,99999999999999999999,EUR,season,e,r,,,',
      'u_1,cash,5,euro,season,f,r,,,',
      'u_1,cash,5,EUR,seasn,g,r,,,',
      'u_1,cash,5,EUR,season,h,,,,',
      'u_1,cash,5,EUR,season,i,r,high,,',
      'u_1,fs,5,,season,j,r,,,',
      'u_1,cash,5,EUR,season',
      'u_1,cash,6,EUR,season,ok,r,,,',
      'u_1,cash,5,EUR,season,k\0,r,,,',
      'u_1,cash,1e3,EUR,season,l,r,,,',
      'u_1,cash,0,EUR,season,m,r,,,',
    ]
    const path = await file('bad.csv', `${bad.join('\n')}\n`)
    const { error } = await run('rewards', 'issue', '--file', path, '--yes')
    expect(error?.code).toBe('ONCEWARD_E_FILE_UNREADABLE')
    const named = [...(error?.message ?? '').matchAll(/bad\.csv:(\d+):/g)].map(([, line]) => Number(line))
    expect([...new Set(named)]).toEqual(Array.from({ length: 15 }, (_, n) => n + 3))
    expect(await office.office.budgets()).toMatchObject([{ reserved: 0n }])
    expect(await audited(office)).toEqual([])
  })

  test.each([
    ['user_id,type\n', 'the column amount is missing'],
    [`${HEAD},wat\n`, '"wat" is no column'],
    [`${HEAD},cost\n`, 'the column cost stands there twice'],
    ['', 'write a header'],
    [`${HEAD}\n"u_1,cash`, 'a quote is opened and never closed'],
    [`${HEAD}\n"u_1"x,cash`, 'something follows on a closing quote'],
  ])('%j: %s', async (text, says) => {
    const { error } = await run('rewards', 'issue', '--file', await file('head.csv', text), '--reason', 'r', '--yes')
    expect(error?.message).toContain(says)
  })

  test('formulas, statements and marks in cells are text', async () => {
    await pool(office)
    const path = await file(
      'text.csv',
      `${HEAD}\n"=cmd|'/c calc'!A1",loot,,,season,"'; DROP TABLE reward_ledger; --","a ""b""\n;c",,0,"\u202E😀"\n`,
    )
    expect(await run('rewards', 'issue', '--file', path, '--yes')).toMatchObject({ code: 0 })
    const view = await office.office.reward(manualTaskId("=cmd|'/c calc'!A1", "'; DROP TABLE reward_ledger; --"))
    expect(view).toMatchObject({ reward: { rarity: '\u202E😀' }, history: [{}, { reason: 'a "b"\n;c' }] })
  })

  test('with a policy: pools, costs, KYC levels and reviews are as it says', async () => {
    const policy = await file(
      'policy.yaml',
      [
        'policy: payout',
        'currency: EUR',
        'pools:',
        '  gifts: { budget: 100, period: daily }',
        '  over: { budget: 100, until: 2020-01-01 }',
        'catalogue: [{ type: fs, unit_cost: 0.135 }]',
        'rates: { TRY: 0.02 }',
        'review_from: 50',
        'four_eyes_from: 60',
        'kyc: { fs: 1 }',
        'meta: { version: "1.0" }',
      ].join('\n'),
    )
    const rows = [
      'user_id,type,amount,currency,pool,reference',
      'u_1,fs,10,,gifts,free spins',
      'u_1,cash,100,TRY,gifts,lira',
      'u_1,cash,55,EUR,gifts,review',
      'u_1,cash,5,EUR,over,too late',
    ]
    await player(office, 'u_1', { kyc: 2 })
    const path = await file('with-policy.csv', rows.join('\n'))
    const line = ['rewards', 'issue', '--file', path, '--policy', policy, '--reason', 'r'] as const
    expect(await run(...line, '--yes', '--json')).toMatchObject({ code: 0, error: undefined })
    const view = (reference: string) => office.office.reward(manualTaskId('u_1', reference))
    expect(await view('free spins')).toMatchObject({ status: 'reserved', cost: 135n, kycRequired: 1 })
    expect((await view('free spins')).poolPeriod).toMatch(/^20\d\d-\d\d-\d\d$/)
    expect(await view('lira')).toMatchObject({ status: 'reserved', cost: 200n, kycRequired: 2 })
    expect(await view('review')).toMatchObject({
      status: 'held',
      holds: [{ reasons: [{ by: 'large_prize' }], approvals: 1 }],
    })
    expect(await view('too late')).toMatchObject({ status: 'held', holds: [{ reasons: [{ by: 'budget_closed' }] }] })
    const unknown = await file(
      'no-rate.csv',
      `${rows[0]}\nu_1,cash,5,USD,gifts,dollars\nu_1,cash,5,EUR,nowhere,undeclared\n`,
    )
    const { error } = await run('rewards', 'issue', '--file', unknown, '--policy', policy, '--reason', 'r')
    expect(error?.message).toContain('no-rate.csv:2: there is no exchange rate from USD to EUR')
    expect(error?.message).toContain('no-rate.csv:3: neither the policy nor the ledger has a budget of pool nowhere')
  })
})
