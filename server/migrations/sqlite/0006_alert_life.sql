-- What people do to alerts, and what alerts remember of it. Steps of escalation are a JSON list of their ids.
ALTER TABLE alerts ADD COLUMN holds INTEGER NOT NULL DEFAULT 1;
ALTER TABLE alerts ADD COLUMN assignee TEXT;
ALTER TABLE alerts ADD COLUMN records_needed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN records TEXT;
ALTER TABLE alerts ADD COLUMN active_since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE alerts ADD COLUMN escalated TEXT NOT NULL DEFAULT '[]';

UPDATE alerts SET active_since = changed_at;
-- That a device is copied is no state of things that a later report could end.
UPDATE alerts SET holds = 0 WHERE state = 'resolved' OR kind = 'device-cloned';

ALTER TABLE alert_events ADD COLUMN until INTEGER;
ALTER TABLE alert_events ADD COLUMN records TEXT;
ALTER TABLE alert_events ADD COLUMN step TEXT;
ALTER TABLE alert_events ADD COLUMN text TEXT;
