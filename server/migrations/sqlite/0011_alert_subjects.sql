-- Alerts about units and exceptions, beside those about devices. What an alert is about is part of its key: `subject` is the id of
-- the device or the exception, or `unit:` and the unit's. Keys that refer to the table are not enforced while it is rebuilt, and checked afterwards.
CREATE TABLE alerts_rebuilt (
    subject        TEXT    NOT NULL,
    device_id      TEXT    REFERENCES devices (id),
    kind           TEXT    NOT NULL,
    rule           TEXT    NOT NULL,
    app            TEXT    NOT NULL,
    id             TEXT    NOT NULL UNIQUE,
    severity       TEXT    NOT NULL,
    state          TEXT    NOT NULL,
    snoozed_until  INTEGER,
    opened_at      INTEGER NOT NULL,
    changed_at     INTEGER NOT NULL,
    cause          TEXT,
    reopened       INTEGER NOT NULL,
    holds          INTEGER NOT NULL,
    assignee       TEXT,
    records_needed INTEGER NOT NULL,
    records        TEXT,
    active_since   INTEGER NOT NULL,
    escalated      TEXT    NOT NULL,
    PRIMARY KEY (subject, kind, rule, app),
    CHECK (subject = device_id OR (device_id IS NULL AND (subject LIKE 'unit:%' OR subject LIKE 'exc\_%' ESCAPE '\')))
) STRICT, WITHOUT ROWID;
INSERT INTO alerts_rebuilt
SELECT device_id, device_id, kind, rule, app, id, severity, state, snoozed_until, opened_at, changed_at, cause, reopened, holds,
    assignee, records_needed, records, active_since, escalated
FROM alerts;
DROP TABLE alerts;
ALTER TABLE alerts_rebuilt RENAME TO alerts;
CREATE INDEX alerts_active ON alerts (changed_at)
WHERE state <> 'resolved';
CREATE INDEX alerts_changed ON alerts (changed_at);
