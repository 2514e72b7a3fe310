-- Moves get a number in the order in which they are written, so that whoever collects them for the audit log can tell which
-- it has: (ledger_id, move) says nothing of the order between rewards. Ids are taken in one order and committed in another;
-- connectors/ledger/trail/ waits for that.
ALTER TABLE reward_history ADD COLUMN id BIGINT GENERATED ALWAYS AS IDENTITY;
CREATE UNIQUE INDEX reward_history_in_order ON reward_history (id);
