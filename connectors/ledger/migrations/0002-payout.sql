-- Payout that can be trusted with money (SPEC S4, S6, S7, S13): reservations, gates at the moment of the call, holds, and a
-- history that the database itself writes. core/model/reward-status.ts has the same table of moves.

-- What came of a task, as text, for dead letters, for sending again, and for reconciliation. Written once, so that the
-- ledger's own rows, which move, stay narrow.
CREATE TABLE reward_task (
  ledger_id  BIGINT PRIMARY KEY,
  reward     JSONB NOT NULL,
  guardrails JSONB NOT NULL,
  -- Null for tasks that had ended before this table existed.
  task       TEXT,
  -- Where it stands on reward.tasks; null: issued by hand.
  source     JSONB,
  -- What somebody is to look at before it is paid, [{"by", "detail"}], where it was booked as something else than held.
  reviews    JSONB
);
INSERT INTO reward_task (ledger_id, reward, guardrails, task, source)
SELECT l.id, l.reward, l.guardrails, o.task, o.source
FROM reward_ledger l LEFT JOIN reward_outbox o USING (reward_task_id);

-- Only indices of columns that never change, so that a move of the status is a heap-only update.
DROP INDEX reward_ledger_by_change;
ALTER TABLE reward_ledger
  DROP COLUMN reward,
  DROP COLUMN guardrails,
  DROP CONSTRAINT reward_ledger_status_check,
  ADD CONSTRAINT reward_ledger_status CHECK (status IN
    ('pending', 'held', 'frozen', 'reserved', 'sent', 'succeeded', 'failed', 'voided', 'expired')),
  ADD COLUMN pool_period  TEXT NOT NULL DEFAULT 'all',
  ADD COLUMN kyc_required SMALLINT NOT NULL DEFAULT 0,
  -- What counts for a player whose level nobody has told; null: whoever wrote the task has judged that.
  ADD COLUMN kyc_unknown  SMALLINT,
  ADD COLUMN soft_cap     NUMERIC(18,2),
  ADD COLUMN partner      TEXT,
  ADD COLUMN ordered      BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN payer        BOOLEAN,
  ADD COLUMN origin       TEXT NOT NULL DEFAULT 'stream' CHECK (origin IN ('stream', 'manual')),
  -- People who must approve it where it is held.
  ADD COLUMN approvals    SMALLINT NOT NULL DEFAULT 1 CHECK (approvals BETWEEN 1 AND 2),
  -- Its cost stands in reward_budget.reserved. Of one that failed or is frozen: it may have been paid, it is in doubt.
  ADD COLUMN reserves     BOOLEAN NOT NULL DEFAULT false,
  -- What the last move is told with; the history keeps those before.
  ADD COLUMN reason       TEXT,
  ADD COLUMN actor        TEXT NOT NULL DEFAULT 'sink',
  ADD COLUMN moves        INTEGER NOT NULL DEFAULT 0,
  ADD CONSTRAINT reserves_while_open CHECK (NOT reserves OR status IN ('reserved', 'sent', 'failed', 'frozen')),
  SET (fillfactor = 60);

-- One row for each move, written by the triggers below whichever statement moves a reward. Never changed, never deleted.
CREATE TABLE reward_history (
  ledger_id   BIGINT NOT NULL,
  -- 1 is the row's beginning.
  move        INTEGER NOT NULL,
  from_status TEXT,
  to_status   TEXT NOT NULL,
  reason      TEXT,
  actor       TEXT NOT NULL,
  at          TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (ledger_id, move)
);

CREATE FUNCTION reward_move_allowed(was TEXT, now_is TEXT) RETURNS BOOLEAN LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE was
    WHEN 'pending'  THEN now_is IN ('held', 'frozen', 'reserved', 'failed', 'voided', 'expired', 'succeeded')
    WHEN 'held'     THEN now_is IN ('reserved', 'frozen', 'voided', 'expired', 'succeeded')
    WHEN 'frozen'   THEN now_is IN ('pending', 'held', 'reserved', 'failed', 'voided', 'expired', 'succeeded')
    WHEN 'reserved' THEN now_is IN ('sent', 'held', 'frozen', 'failed', 'voided', 'expired', 'succeeded')
    WHEN 'sent'     THEN now_is IN ('succeeded', 'failed', 'frozen')
    WHEN 'failed'   THEN now_is IN ('reserved', 'held', 'frozen', 'voided', 'succeeded')
    WHEN 'voided'   THEN now_is IN ('succeeded')
    WHEN 'expired'  THEN now_is IN ('succeeded')
    ELSE false
  END
$$;

-- Before the triggers exist: what was pending is reserved, as if it had been booked today; it was never held back. But one
-- that has been claimed (its outbox row is not as it was booked) may have been sent, under a request id that is no longer
-- the one it would be sent under now: a partner that has paid it would pay it twice. A person has to look at it.
UPDATE reward_ledger l SET status = 'failed', reserves = true,
  failure = 'in doubt: it may have been sent by an earlier version, whose request id was the task''s; ask the partner before it is sent again'
FROM reward_outbox o
WHERE o.reward_task_id = l.reward_task_id AND l.status = 'pending'
  AND (o.attempts > 0 OR o.claim IS NOT NULL OR o.available_at IS DISTINCT FROM l.created_at);
UPDATE reward_ledger SET status = 'reserved', reserves = true WHERE status = 'pending';
ALTER TABLE reward_ledger
  ADD CONSTRAINT reserves_while_due CHECK (reserves OR status NOT IN ('reserved', 'sent'));
INSERT INTO reward_history (ledger_id, move, from_status, to_status, reason, actor, at)
SELECT id, 1, NULL, status, 'booked before there was a history', 'migration', updated_at FROM reward_ledger;
UPDATE reward_ledger SET moves = 1;

CREATE FUNCTION reward_ledger_before_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  -- A payment follows on a reservation or on a call; nothing begins with it.
  IF NEW.status = 'succeeded' OR NEW.status <> 'pending' AND NOT reward_move_allowed('pending', NEW.status) THEN
    RAISE EXCEPTION 'a reward cannot begin as %', NEW.status USING ERRCODE = 'check_violation';
  END IF;
  NEW.moves := CASE WHEN NEW.status = 'pending' THEN 1 ELSE 2 END;
  RETURN NEW;
END $$;
CREATE TRIGGER reward_ledger_begins BEFORE INSERT ON reward_ledger
  FOR EACH ROW EXECUTE FUNCTION reward_ledger_before_insert();

-- Moves a pool's period by what its rewards have moved, and only the triggers below do: so reserved and spent are the
-- ledger's sums whichever statement moves a reward. What was paid without a reservation, and the budget does not have, is
-- let through and counted as overrun: it is gone.
CREATE FUNCTION reward_budget_follows(pool TEXT, in_period TEXT, by_reserved NUMERIC, by_spent NUMERIC)
RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
  UPDATE reward_budget SET
    reserved = reserved + by_reserved,
    spent = spent + by_spent,
    overrun = overrun + CASE WHEN by_spent > 0 AND by_spent + by_reserved > 0 AND budget IS NOT NULL
      THEN GREATEST(0, LEAST(by_spent + by_reserved, spent + reserved + by_spent + by_reserved - budget - overrun))
      ELSE 0 END,
    updated_at = now()
  WHERE pool_id = pool AND period = in_period;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pool % has no row for the period %', pool, in_period USING ERRCODE = 'check_violation';
  END IF;
END $$;

CREATE FUNCTION reward_ledger_after_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reward_history (ledger_id, move, from_status, to_status, reason, actor)
  SELECT id, 1, NULL, 'pending', NULL, actor FROM fresh
  UNION ALL
  SELECT id, 2, 'pending', status, reason, actor FROM fresh WHERE status <> 'pending';
  PERFORM reward_budget_follows(pool_id, pool_period, reserved, 0)
  FROM (
    SELECT pool_id, pool_period, sum(cost) AS reserved FROM fresh
    WHERE reserves AND pool_id IS NOT NULL GROUP BY pool_id, pool_period
    ORDER BY pool_id COLLATE "C", pool_period COLLATE "C"
  ) AS sums;
  RETURN NULL;
END $$;
CREATE TRIGGER reward_ledger_begun AFTER INSERT ON reward_ledger REFERENCING NEW TABLE AS fresh
  FOR EACH STATEMENT EXECUTE FUNCTION reward_ledger_after_insert();

CREATE FUNCTION reward_ledger_before_move() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  IF NOT reward_move_allowed(OLD.status, NEW.status) THEN
    RAISE EXCEPTION 'reward % cannot move from % to %', OLD.reward_task_id, OLD.status, NEW.status
      USING ERRCODE = 'check_violation';
  END IF;
  NEW.moves := OLD.moves + 1;
  NEW.updated_at := now();
  RETURN NEW;
END $$;
CREATE TRIGGER reward_ledger_moves BEFORE UPDATE ON reward_ledger
  FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION reward_ledger_before_move();

-- What a reward is never changes; its cost may be worked out later, while nothing is reserved for it.
CREATE FUNCTION reward_ledger_immutable() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'what reward % is cannot be changed', OLD.reward_task_id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER reward_ledger_stays BEFORE UPDATE ON reward_ledger
  FOR EACH ROW WHEN (
    (OLD.id, OLD.reward_task_id, OLD.user_id, OLD.type, OLD.value, OLD.currency, OLD.pool_id, OLD.pool_period, OLD.origin)
      IS DISTINCT FROM
    (NEW.id, NEW.reward_task_id, NEW.user_id, NEW.type, NEW.value, NEW.currency, NEW.pool_id, NEW.pool_period, NEW.origin)
    OR (OLD.cost <> NEW.cost AND (OLD.reserves OR OLD.status NOT IN ('pending', 'held', 'frozen')))
    OR (OLD.status = NEW.status AND OLD.moves <> NEW.moves)
  ) EXECUTE FUNCTION reward_ledger_immutable();

CREATE FUNCTION reward_ledger_after_move() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO reward_history (ledger_id, move, from_status, to_status, reason, actor)
  SELECT after.id, after.moves, before.status, after.status, after.reason, after.actor
  FROM after JOIN before USING (id) WHERE after.moves > before.moves;
  PERFORM reward_budget_follows(pool_id, pool_period, reserved, COALESCE(spent, 0))
  FROM (
    SELECT after.pool_id, after.pool_period,
      sum(after.cost * (after.reserves::int - before.reserves::int)) AS reserved,
      sum(after.cost) FILTER (WHERE after.status = 'succeeded' AND before.status <> 'succeeded') AS spent
    FROM after JOIN before USING (id)
    WHERE after.pool_id IS NOT NULL
      AND (after.reserves <> before.reserves OR after.status = 'succeeded' AND before.status <> 'succeeded')
    GROUP BY after.pool_id, after.pool_period
    ORDER BY after.pool_id COLLATE "C", after.pool_period COLLATE "C"
  ) AS sums;
  RETURN NULL;
END $$;
CREATE TRIGGER reward_ledger_moved AFTER UPDATE ON reward_ledger REFERENCING OLD TABLE AS before NEW TABLE AS after
  FOR EACH STATEMENT EXECUTE FUNCTION reward_ledger_after_move();

CREATE FUNCTION append_only() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER reward_ledger_kept BEFORE DELETE OR TRUNCATE ON reward_ledger
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER reward_history_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON reward_history
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- The budget of a pool's period, with the terms under which it is given. overrun is what was let through above the budget:
-- by hand with a reason, or because a partner turned out to have paid.
ALTER TABLE reward_budget
  ADD COLUMN reserved        NUMERIC(18,2) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  ADD COLUMN overrun         NUMERIC(18,2) NOT NULL DEFAULT 0 CHECK (overrun >= 0),
  ADD COLUMN soft_cap        NUMERIC(18,2),
  ADD COLUMN breaker_percent SMALLINT NOT NULL DEFAULT 90,
  ADD COLUMN when_closed     TEXT NOT NULL DEFAULT 'hold' CHECK (when_closed IN ('hold', 'dlq')),
  ADD COLUMN large_prize     NUMERIC(18,2),
  -- The event time (ms) from which on these terms hold; null: nobody has declared the pool.
  ADD COLUMN terms_since     BIGINT;

-- Until now `budget` held the soft cap that a rule had named: nobody had declared a hard one.
UPDATE reward_budget SET soft_cap = budget, budget = NULL;
UPDATE reward_budget b SET reserved = l.cost
FROM (SELECT pool_id, sum(cost) AS cost FROM reward_ledger WHERE reserves AND pool_id IS NOT NULL GROUP BY pool_id) l
WHERE b.pool_id = l.pool_id AND b.period = 'all';

-- The last line of defence: whatever a statement of ours may get wrong, no pool gives more than it has. A lowered budget
-- may lie below what is gone already; then nothing more goes.
CREATE FUNCTION reward_budget_bounded() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'pool % has % of % left for %', NEW.pool_id, NEW.budget - OLD.spent - OLD.reserved, NEW.budget,
    NEW.spent + NEW.reserved - OLD.spent - OLD.reserved USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER reward_budget_never_above BEFORE UPDATE ON reward_budget
  FOR EACH ROW WHEN (
    NEW.spent + NEW.reserved - NEW.overrun > OLD.spent + OLD.reserved - OLD.overrun
    AND NEW.budget IS NOT NULL AND NEW.spent + NEW.reserved > NEW.budget + NEW.overrun
  ) EXECUTE FUNCTION reward_budget_bounded();
-- Rows begin empty (INSERT … ON CONFLICT DO NOTHING) and are moved by UPDATE only, so that the trigger above sees it all.
ALTER TABLE reward_budget ADD CONSTRAINT spent_is_something CHECK (spent >= 0);
CREATE TRIGGER reward_budget_begins BEFORE INSERT ON reward_budget
  FOR EACH ROW WHEN (NEW.spent <> 0 OR NEW.reserved <> 0 OR NEW.overrun <> 0) EXECUTE FUNCTION append_only();

-- What is still to be paid: a row exactly while its reward is reserved or sent. No foreign key: it would cost a look-up for
-- each reward, and nothing is ever deleted from the ledger.
DROP TABLE reward_outbox;
CREATE TABLE reward_outbox (
  ledger_id    BIGINT PRIMARY KEY,
  partner      TEXT NOT NULL,
  user_id      TEXT NOT NULL,
  ordered      BOOLEAN NOT NULL,
  -- Calls booked as failed.
  attempts     INTEGER NOT NULL DEFAULT 0,
  -- Not to be claimed before: the time of the next try while it is free, the end of the lease while it is claimed.
  available_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- The token of the claim that holds it; null while it is free.
  claim        BIGINT,
  claimed_by   TEXT,
  last_failure TEXT
);
INSERT INTO reward_outbox (ledger_id, partner, user_id, ordered)
SELECT id, 'wallet', user_id, false FROM reward_ledger WHERE status = 'reserved';
UPDATE reward_ledger SET partner = 'wallet' WHERE status = 'reserved';
-- The claim query walks this in order and stops after its limit.
CREATE INDEX reward_outbox_due ON reward_outbox (partner, available_at);
-- For "is there an earlier one of this player".
CREATE INDEX reward_outbox_by_player ON reward_outbox (partner, user_id, ledger_id) WHERE ordered;
ALTER TABLE reward_outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, fillfactor = 70);

-- What the stream knows of players, for the look at the moment of the call.
CREATE TABLE player_state (
  user_id          TEXT PRIMARY KEY,
  kyc_level        SMALLINT,
  -- [{"kind", "since", "until"}], times in RFC 3339, until null: until it is lifted.
  restrictions     JSONB NOT NULL,
  -- The end of the last of them; infinity where one has none; null: there is none.
  restricted_until TIMESTAMPTZ,
  as_of            TIMESTAMPTZ NOT NULL,
  seq              BIGINT NOT NULL,
  updated_at       TIMESTAMPTZ NOT NULL DEFAULT now()
);

-- Beside each frozen reward: who stopped it, and so who may let it go (the gates of the stream, the sink's own look, a
-- person), why, and until when it is kept. The row goes when the reward moves on; its history stays.
CREATE TABLE reward_freeze (
  ledger_id  BIGINT PRIMARY KEY,
  user_id    TEXT NOT NULL,
  frozen_by  TEXT NOT NULL CHECK (frozen_by IN ('stream', 'sink', 'manual')),
  -- core/gates.ts, FreezeReason[]; of a person: [].
  reasons    JSONB NOT NULL,
  expires_at TIMESTAMPTZ,
  frozen_at  TIMESTAMPTZ NOT NULL DEFAULT now()
);
CREATE INDEX reward_freeze_of ON reward_freeze (user_id);
-- For the look at which of the sink's own may go.
CREATE INDEX reward_freeze_by_sink ON reward_freeze (ledger_id) WHERE frozen_by = 'sink';

-- A review: one is open while its reward is held. A reward may be held again.
CREATE TABLE reward_hold (
  id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  ledger_id       BIGINT NOT NULL,
  -- [{"by", "detail"}]
  reasons         JSONB NOT NULL,
  approvals       SMALLINT NOT NULL DEFAULT 1 CHECK (approvals BETWEEN 1 AND 2),
  assignee        TEXT,
  opened_at       TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- ended: the reward moved on without a decision, for it expired or its player was restricted.
  decision        TEXT CHECK (decision IN ('approved', 'rejected', 'ended')),
  decided_at      TIMESTAMPTZ,
  decided_by      TEXT,
  decision_reason TEXT,
  CONSTRAINT decided_whole CHECK ((decision IS NULL) = (decided_at IS NULL) AND (decision IS NULL) = (decided_by IS NULL))
);
CREATE UNIQUE INDEX reward_hold_open ON reward_hold (ledger_id) WHERE decision IS NULL;
CREATE INDEX reward_hold_of ON reward_hold (ledger_id);

-- Four eyes: one row for each person who has approved.
CREATE TABLE reward_approval (
  hold_id BIGINT NOT NULL REFERENCES reward_hold (id),
  actor   TEXT NOT NULL,
  reason  TEXT NOT NULL,
  at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (hold_id, actor)
);

-- Every decision of a person, and every alarm of a sink. Never changed, never deleted.
CREATE TABLE audit_log (
  id      BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      TIMESTAMPTZ NOT NULL DEFAULT now(),
  actor   TEXT NOT NULL,
  -- hold.approved, reward.issued, alarm.answer_differs, …
  action  TEXT NOT NULL,
  -- The reward task's id, a pool, a player.
  subject TEXT NOT NULL,
  reason  TEXT,
  detail  JSONB
);
CREATE INDEX audit_log_of ON audit_log (subject, id);
CREATE TRIGGER audit_log_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION append_only();
