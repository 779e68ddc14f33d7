-- Deliveries that are told together with others, at certain times: with which (`digest`), and in which message they went,
-- by its id, once that is settled.
ALTER TABLE deliveries ADD COLUMN digest TEXT;
ALTER TABLE deliveries ADD COLUMN message_id TEXT;
CREATE INDEX deliveries_digest ON deliveries (due_at)
WHERE state = 'pending' AND digest IS NOT NULL;
CREATE INDEX deliveries_message ON deliveries (message_id)
WHERE message_id IS NOT NULL;
