-- The book of rewards (SPEC S13). A row is never deleted; reward_task_id is what makes a second payment impossible to book.
CREATE TABLE reward_ledger (
  id             BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  reward_task_id TEXT NOT NULL UNIQUE,
  user_id        TEXT NOT NULL,
  pool_id        TEXT,
  type           TEXT NOT NULL,
  -- Money for cash types, a count for the others (10 free spins are 10.00), 0.00 where a reward has no amount, so that
  -- sums over the column need no COALESCE.
  value          NUMERIC(18,2) NOT NULL CHECK (value >= 0),
  currency       TEXT,
  cost           NUMERIC(18,2) NOT NULL CHECK (cost >= 0),
  status         TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'succeeded', 'failed')),
  payout_id      TEXT,
  payout_status  TEXT,
  -- Why it failed; null otherwise.
  failure        TEXT,
  rule_id        TEXT NOT NULL,
  rule_version   TEXT,
  threshold      NUMERIC,
  period         TEXT,
  event_id       TEXT,
  reward         JSONB NOT NULL,
  guardrails     JSONB NOT NULL,
  -- The task's own created_at: event time. The two below are times of booking.
  issued_at      TIMESTAMPTZ NOT NULL,
  created_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at     TIMESTAMPTZ NOT NULL DEFAULT now(),
  CONSTRAINT paid_has_payout CHECK ((status = 'succeeded') = (payout_id IS NOT NULL))
);

-- "Why did I (not) get my reward?" asks by player; the live view and reports ask for the latest changes.
CREATE INDEX reward_ledger_by_user ON reward_ledger (user_id, id);
CREATE INDEX reward_ledger_by_change ON reward_ledger (updated_at);

-- One row for each pool and period. spent is the sum of cost over the pool's succeeded rows, moved in the same transaction.
CREATE TABLE reward_budget (
  pool_id    TEXT NOT NULL,
  period     TEXT NOT NULL DEFAULT 'all',
  budget     NUMERIC(18,2),
  spent      NUMERIC(18,2) NOT NULL DEFAULT 0,
  created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated_at TIMESTAMPTZ NOT NULL DEFAULT now(),
  PRIMARY KEY (pool_id, period)
);

-- What is still to be paid. A row lives from the task's arrival to its end, so the table stays as small as the backlog.
CREATE TABLE reward_outbox (
  reward_task_id TEXT PRIMARY KEY REFERENCES reward_ledger (reward_task_id),
  -- The task as it came, and where from, for the dead-letter topic.
  task           TEXT NOT NULL,
  source         JSONB NOT NULL,
  -- Calls booked as failed.
  attempts       INTEGER NOT NULL DEFAULT 0,
  -- Not to be claimed before: the time of the next try while it is free, the end of the lease while it is claimed.
  available_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
  -- The token of the claim that holds it; null while it is free.
  claim          BIGINT,
  claimed_by     TEXT,
  last_failure   TEXT
);

-- The claim query walks this in order and stops after its limit.
CREATE INDEX reward_outbox_due ON reward_outbox (available_at);

-- Every row is updated twice and deleted: vacuum by count of dead rows, not by a fifth of the table.
ALTER TABLE reward_outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, fillfactor = 70);
ALTER TABLE reward_budget SET (fillfactor = 50);

CREATE SEQUENCE reward_claim;
