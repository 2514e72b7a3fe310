/** A bug that is planted in the engine's source, for the simulation to find. */
export interface Mutant {
  readonly name: string
  /** Each text stands in its file exactly once; where it does not, the engine has changed and the mutant must, too. */
  readonly edits: readonly { readonly file: string; readonly from: string; readonly to: string }[]
}

const mutant = (name: string, file: string, from: string, to: string): Mutant => ({ name, edits: [{ file, from, to }] })

export const MUTANTS: readonly Mutant[] = [
  mutant(
    'the store is written before the commit',
    'pipeline/task.ts',
    '    const commitStartedMs = clock.monotonic()\n',
    '    await this.#write(changes, this.#state.indexOps(), nextOffset)\n    const commitStartedMs = clock.monotonic()\n',
  ),
  mutant(
    'opening a transactional id fences nobody',
    'connectors/log/embedded/transactions.ts',
    'const epoch = (former?.epoch ?? -1) + 1',
    'const epoch = former?.epoch ?? 0',
  ),
  mutant(
    'the committed offset is read before the older worker is fenced',
    'pipeline/task.ts',
    'const producer = await log.transactional(`${application}.${partition}`)\n',
    'const early = await log.committed(application, [{ topic: topics.events, partition }])\n' +
      '    const producer = await log.transactional(`${application}.${partition}`)\n' +
      '    options = { ...options, log: Object.create(log, { committed: { value: async () => early } }) }\n',
  ),
  mutant(
    'the stamp does not tell the new input offset',
    'pipeline/task.ts',
    'const stamp = { format: STORE_FORMAT, application, partition, inputOffset, changelogOffset, writtenAt }',
    'const stamp = { format: STORE_FORMAT, application, partition, inputOffset: this.#stamped.inputOffset, changelogOffset, writtenAt }',
  ),
  mutant(
    'the stamp is written apart from the state, before it',
    'state/partition-store.ts',
    "    ops.push({ type: 'put', key: STAMP_KEY, value: encodeStamp(stamp) })\n",
    "    await this.kv.write([{ type: 'put', key: STAMP_KEY, value: encodeStamp(stamp) }])\n",
  ),
  mutant('held events are forgotten on recovery', 'pipeline/task.ts', '      await task.#readHeldSince()\n', ''),
  mutant(
    'held events do not reach the changelog',
    'pipeline/outputs.ts',
    '  for (const { key, value } of changes) {\n',
    '  for (const { key, value } of changes) {\n    if (key[0] === 104) continue\n',
  ),
  mutant(
    'windows do not reach the changelog',
    'pipeline/outputs.ts',
    '  for (const { key, value } of changes) {\n',
    '  for (const { key, value } of changes) {\n    if (key[0] === 119) continue\n',
  ),
  mutant(
    'events that windows count do not wait for their turn',
    'rules/rule-set.ts',
    ' || windows.counts(eventName)',
    '',
  ),
  mutant('windows count in both lanes', 'operators/windows.ts', "  if (lane !== 'strict') return false\n", ''),
  mutant(
    'reward ids are random',
    'core/ids.ts',
    'return `rt_${digest([userId, ruleId, period, threshold])}`',
    'return `rt_${digest([userId, ruleId, period, threshold, Math.random()])}`',
  ),
  mutant(
    'the first changelog record of a batch is dropped',
    'pipeline/outputs.ts',
    'for (const { key, value } of changes) {',
    'for (const { key, value } of changes.slice(changes.length > 1 ? 1 : 0)) {',
  ),
  mutant(
    'tombstones do not reach the changelog',
    'pipeline/outputs.ts',
    '  for (const { key, value } of changes) {\n',
    '  for (const { key, value } of changes) {\n    if (value === null) continue\n',
  ),
  mutant(
    'the watermark is taken from a clock',
    'operators/reorder.ts',
    'batch.time.advance(event.ts)',
    'batch.time.advance(Date.now())',
  ),
  mutant(
    'the watermark is forgotten on recovery',
    'pipeline/task.ts',
    'this.#watermark = recovered.meta?.watermark',
    'this.#watermark = undefined',
  ),
  mutant(
    'aborted records are read',
    'connectors/log/embedded/fetch.ts',
    'return chunk.producerId === 0 || !partition.isAborted(chunk.producerId, chunk.base)',
    'return true',
  ),
  mutant(
    'the sink acknowledges before it has booked',
    'pipeline/payout/intake.ts',
    '      const { arrivals, changes, letters } = sort(batch, parts.view)\n',
    '      const { arrivals, changes, letters } = sort(batch, parts.view)\n' +
      '      await consumer.commit([{ topic: batch.topic, partition: batch.partition, offset: batch.nextOffset }])\n',
  ),
  mutant(
    'a wallet that does not answer counts as having paid',
    'pipeline/payout/decision.ts',
    "    case 'unavailable':\n",
    "    case 'unavailable':\n      if (attempts === 0) return { kind: 'succeeded', payoutId: 'p', payoutStatus: 'assumed' }\n",
  ),
  mutant(
    'a reward is called without a look at its player',
    'pipeline/payout/payment.ts',
    'const clearance = await clearedNow(parts, held)',
    'const clearance = { again: false, of: clearedNow }',
  ),
  mutant(
    'a pool gives more than it has',
    'core/pool-bounds.ts',
    'return cost <= left ? null',
    'return cost <= left + 500n ? null',
  ),
  mutant(
    'what a pool refuses has no dead letter',
    'pipeline/payout/intake.ts',
    'await parts.deadLetters.send([...letters.values()])',
    'await parts.deadLetters.send([])',
  ),
  mutant('remembered ids are forgotten on a rebuild', 'state/partition-store.ts', '      ...index.remembered,\n', ''),
  mutant(
    'late events are remembered as seen',
    'operators/dedupe.ts',
    'if (!time.isLate(event.ts) || countsLate(event.ts, history, time)) state.remember',
    'state.remember',
  ),
  mutant(
    "a cap's windows are pruned too early",
    'operators/cap.ts',
    'earliestLocal(timeZone, oldestUnscored(scoring, batch))',
    'earliestLocal(timeZone, scoring.event.ts)',
  ),
  mutant(
    'a commit with an unknown outcome is taken for committed',
    'pipeline/task.ts',
    'const ends = await this.#producer.commit({',
    "const ends = await (async (commit) => this.#producer.commit(commit).catch((error) => { if (error.code !== 'ONCEWARD_E_LOG_COMMIT_UNKNOWN') throw error; return [{ topic: changelog, partition, nextOffset: this.#changelogOffset }] }))({",
  ),
  mutant(
    'the input offset is committed outside of the transaction',
    'pipeline/task.ts',
    '      offsets: { group: application, positions: [{ topic: topics.events, partition, offset: nextOffset }] },\n    })\n',
    '    })\n    await this.#producer.commit({ records: [], offsets: { group: application, positions: [{ topic: topics.events, partition, offset: nextOffset }] } })\n',
  ),
  mutant(
    'accounts are not restored from the changelog',
    'state/partition-store.ts',
    '        ops.push(changeOp({ key, value }))\n',
    '        if (key[0] !== 97) ops.push(changeOp({ key, value }))\n',
  ),
  mutant(
    "another application's store is taken for our own",
    'state/recovery.ts',
    '  if (stamp.application !== application) return',
    '  if (stamp.application === application + 1) return',
  ),
  mutant(
    'a store that may have missed tombstones is caught up all the same',
    'state/recovery.ts',
    'if (age >= facts.deleteRetentionMs) {',
    'if (age < 0) {',
  ),
  mutant(
    'events are judged by the newest version, whatever their time',
    'rules/rule-set.ts',
    'timeline.rulesAt(this.#name, instant)',
    'timeline.rulesAt(this.#name, Math.max(instant, Infinity))',
  ),
  {
    name: 'the gates ask for the player as it was before the event',
    edits: [
      {
        file: 'operators/protection.ts',
        from: '      const change = readProtection(event)\n',
        to: '      next(arrival)\n      const change = readProtection(event)\n',
      },
      {
        file: 'operators/protection.ts',
        from: 'outputsMax(batch, userId))\n      }\n      next(arrival)\n',
        to: 'outputsMax(batch, userId))\n      }\n',
      },
    ],
  },
  mutant(
    'protection that comes late is lost',
    'operators/protection.ts',
    'if (change !== undefined) {',
    'if (change !== undefined && !batch.time.isLate(event.ts)) {',
  ),
  mutant(
    'an old word on a restriction outdoes a newer one',
    'operators/player-fold.ts',
    'else if (isNewer(word, known)) restrictions[index] = word',
    'else restrictions[index] = word',
  ),
  mutant(
    'an old word on KYC outdoes a newer one',
    'operators/player-fold.ts',
    'if (isNewer(said, state.kyc)) state.kyc =',
    'state.kyc =',
  ),
  mutant(
    'time is not settled before a player is judged',
    'operators/gates.ts',
    '    add(settle(player, userId, at), { userId })\n',
    '',
  ),
  mutant(
    'timers are not staged',
    'operators/gates.ts',
    '    if (next !== null) state.setTimer({ at: next, userId }, true)\n',
    '',
  ),
  mutant('timers are forgotten on recovery', 'pipeline/task.ts', '      await task.#readNextTimer()\n', ''),
  mutant(
    'players do not reach the changelog',
    'pipeline/outputs.ts',
    '  for (const { key, value } of changes) {\n',
    '  for (const { key, value } of changes) {\n    if (key[0] === 112) continue\n',
  ),
  mutant('what is released stays frozen as well', 'operators/gates.ts', '    state.delete(FROZEN, ref.id)\n', ''),
  mutant(
    'the end of a restriction is not told to the sinks',
    'operators/player-fold.ts',
    'if (ended.length > 0) moved.push(',
    'if (ended.length < 0) moved.push(',
  ),
  mutant(
    'a restriction is not told to the sinks',
    'operators/gates.ts',
    "return moved.kind === 'changed' ? { ...about, kind: 'record', record: moved.record }",
    "return moved.kind === 'changed' ? { ...about, kind: 'record', record: { ...moved.record, restrictions: [] } }",
  ),
  mutant(
    'sinks take an older word on a player for the newest',
    'cli/simulate/ledger.ts',
    'if (known === undefined || isLater(change, known)) this',
    'if (known === undefined || !isLater(change, known)) this',
  ),
  mutant(
    'what a player was told of is not passed on to the ledger',
    'pipeline/payout/intake.ts',
    '      await bookPlayers(parts, changes, beat)\n',
    '      await bookPlayers(parts, changes.slice(1), beat)\n',
  ),
  mutant('KYC is not asked', 'core/gates.ts', 'const kycLow = level < kycRequired', 'const kycLow = level < 0'),
  mutant(
    'a large prize needs no more KYC than others',
    'operators/reward-task.ts',
    'isLarge ? kyc.largePrize : 0',
    'isLarge ? 0 : 0',
  ),
  mutant(
    'countries are not asked',
    'operators/grants.ts',
    'const elsewhere = refusalByGeo(scoring, policy)',
    'const elsewhere = false ? refusalByGeo(scoring, policy) : undefined',
  ),
  mutant(
    'a sharp rise is not looked at',
    'operators/grants.ts',
    'if (points < share * threshold) return {}',
    'return {}',
  ),
  mutant(
    'the pool does not depend on the country',
    'operators/reward-task.ts',
    'const byGeo = geo === undefined ? undefined : poolByGeo?.get(geo)',
    'const byGeo = geo === undefined ? undefined : undefined',
  ),
  mutant(
    'frozen rewards never expire',
    'operators/gates.ts',
    'const expiresAt = expiryMs === undefined || at + expiryMs > LAST_INSTANT',
    'const expiresAt = expiryMs === undefined || at + expiryMs > 0',
  ),
  mutant(
    'a reward that was frozen is released without its budget',
    'cli/simulate/ledger.ts',
    '      row.freeze = null\n      this.#admit(row, arrival.task, admit, tally)\n',
    '      row.freeze = null\n      this.#queue(row)\n',
  ),
  mutant(
    'what counts although it is late is not remembered',
    'operators/dedupe.ts',
    ' || countsLate(event.ts, history, time)) state',
    ') state',
  ),
  mutant(
    'what is sent again counts for a segment longer than ids are remembered',
    'operators/late.ts',
    'ts < keptFrom) {',
    'ts < keptFrom - 3_600_000) {',
  ),
  mutant(
    'what is sent again counts whatever it was set aside for',
    'operators/late.ts',
    "history?.some(({ was }) => was === 'late') === true",
    'history !== undefined',
  ),
  mutant(
    'a late event finds its day fresh',
    'operators/account-pruning.ts',
    'return Math.min(oldestUnscored(scoring, batch), batch.time.keptFrom ?? Number.NEGATIVE_INFINITY)',
    'return oldestUnscored(scoring, batch)',
  ),
  mutant(
    'a late event finds its minute and hour fresh',
    'operators/cap.ts',
    'if (cut.points === points || bound.hours[1] === 0) return cut',
    'if (points >= 0) return { points, by: cut.by }',
  ),
  mutant(
    'a late event is cut by what it may have had',
    'operators/cap.ts',
    'if (cut.points === points || bound.hours[1] === 0) return cut',
    'if (points >= 0) return cut',
  ),
  mutant(
    'what came late is not counted in its hour',
    'operators/cap.ts',
    '  if (late === undefined) return inTime\n',
    '  if (late === undefined || size === HOUR_MS) return inTime\n',
  ),
  mutant(
    'what came late to an hour is forgotten while events still come to it',
    'operators/cap.ts',
    'pruneWindows(late, Math.floor(kept / HOUR_MS) * HOUR_MS, MINUTE_MS)',
    'pruneWindows(late, kept, MINUTE_MS)',
  ),
  mutant(
    'a strict rule scores what comes after its turn',
    'operators/score.ts',
    "  if (rule.ordering === 'any') return SCORES\n",
    '  if (rule.windows === undefined) return SCORES\n',
  ),
  mutant('windows count what comes after its turn', 'operators/windows.ts', 'turn.isLate !== true && ', ''),
  mutant(
    'the history of a letter is lost when it is set aside again',
    'operators/dead-letter.ts',
    '      ...(rejection.history === undefined ? {} : { history: rejection.history }),\n',
    '',
  ),
]
