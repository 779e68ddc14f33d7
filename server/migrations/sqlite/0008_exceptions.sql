-- What is accepted for a time, and what was done to it; history is kept for ever. `covers` is `device` or `unit`.
CREATE TABLE exceptions (
    id           TEXT    NOT NULL PRIMARY KEY,
    covers       TEXT    NOT NULL,
    covers_id    TEXT    NOT NULL,
    rule         TEXT,
    app          TEXT,
    reason       TEXT    NOT NULL,
    starts_at    INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    requested_by TEXT    NOT NULL,
    requested_at INTEGER NOT NULL,
    approved_by  TEXT,
    approved_at  INTEGER,
    ended_by     TEXT,
    ended_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE exception_events (
    sequence     INTEGER NOT NULL PRIMARY KEY,
    exception_id TEXT    NOT NULL REFERENCES exceptions (id),
    at           INTEGER NOT NULL,
    action       TEXT    NOT NULL,
    actor        TEXT    NOT NULL,
    text         TEXT    NOT NULL
) STRICT;

CREATE INDEX exception_events_exception ON exception_events (exception_id, sequence);
