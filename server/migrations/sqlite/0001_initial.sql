-- Instants are microseconds since the Unix epoch, durations do not occur, JSON is opaque text.
-- Ids are made by the program. Tables are clustered by device where they are read by device, so that
-- one device's rows share pages: the pages that a commit dirties are what limits its speed.

CREATE TABLE tokens (
    id          TEXT    NOT NULL PRIMARY KEY,
    secret_hash TEXT    NOT NULL,
    label       TEXT    NOT NULL,
    ownership   TEXT    NOT NULL,
    units       TEXT    NOT NULL,
    max_uses    INTEGER NOT NULL,
    uses        INTEGER NOT NULL CHECK (uses <= max_uses),
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE policies (
    version      INTEGER NOT NULL PRIMARY KEY,
    source       TEXT    NOT NULL,
    author       TEXT    NOT NULL,
    comment      TEXT    NOT NULL,
    published_at INTEGER NOT NULL
) STRICT;

-- What changes with a report. With the inventory a row has 0.5 to 4 kB, which a table without row ids
-- would move to overflow pages.
CREATE TABLE devices (
    id                 TEXT    NOT NULL PRIMARY KEY,
    public_key         BLOB    NOT NULL UNIQUE,
    token_id           TEXT    NOT NULL REFERENCES tokens (id),
    enrolled_at        INTEGER NOT NULL,
    hostname           TEXT    NOT NULL,
    platform           TEXT    NOT NULL,
    os                 TEXT    NOT NULL,
    arch               TEXT    NOT NULL,
    machine            TEXT    NOT NULL,
    ownership          TEXT    NOT NULL,
    units              TEXT    NOT NULL,
    past_epochs        TEXT    NOT NULL,
    goodbye_reason     TEXT,
    goodbye_at         INTEGER,
    report_epoch       TEXT,
    report_revision    INTEGER,
    report_digest      TEXT,
    report_received_at INTEGER,
    report_observed_at INTEGER,
    report_inventory   TEXT
) STRICT;

-- What changes without a report, for very many devices at once: a check-in, a publication, a judgement
-- that changes nothing. Some 40 of these rows share a page, two or three of `devices` do.
CREATE TABLE device_activity (
    device_id      TEXT    NOT NULL PRIMARY KEY REFERENCES devices (id),
    last_seen      INTEGER NOT NULL,
    agent_version  TEXT    NOT NULL,
    policy_version INTEGER NOT NULL,
    evaluate_at    INTEGER,
    retired_at     INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX device_activity_due ON device_activity (evaluate_at)
WHERE evaluate_at IS NOT NULL;

CREATE TABLE findings (
    device_id      TEXT    NOT NULL REFERENCES devices (id),
    id             TEXT    NOT NULL,
    rule           TEXT    NOT NULL,
    app            TEXT    NOT NULL,
    kind           TEXT    NOT NULL,
    severity       TEXT    NOT NULL,
    policy_version INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    breach_at      INTEGER NOT NULL,
    exception      TEXT,
    ended_at       INTEGER,
    PRIMARY KEY (device_id, id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX findings_open ON findings (device_id, rule, app)
WHERE ended_at IS NULL;

-- One alert for each device, kind, rule and app; '' where there is no rule or app.
CREATE TABLE alerts (
    device_id     TEXT    NOT NULL REFERENCES devices (id),
    kind          TEXT    NOT NULL,
    rule          TEXT    NOT NULL,
    app           TEXT    NOT NULL,
    id            TEXT    NOT NULL UNIQUE,
    severity      TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    snoozed_until INTEGER,
    opened_at     INTEGER NOT NULL,
    changed_at    INTEGER NOT NULL,
    cause         TEXT,
    reopened      INTEGER NOT NULL,
    PRIMARY KEY (device_id, kind, rule, app)
) STRICT, WITHOUT ROWID;

CREATE INDEX alerts_changed ON alerts (changed_at);

-- After years most alerts are resolved, and people look at the others.
CREATE INDEX alerts_active ON alerts (changed_at)
WHERE state <> 'resolved';

CREATE TABLE alert_events (
    sequence INTEGER NOT NULL PRIMARY KEY,
    alert_id TEXT    NOT NULL REFERENCES alerts (id),
    at       INTEGER NOT NULL,
    action   TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    cause    TEXT
) STRICT;

CREATE INDEX alert_events_alert ON alert_events (alert_id, sequence);

-- Intervals; `version` is '' where it is not known.
CREATE TABLE sightings (
    device_id  TEXT    NOT NULL REFERENCES devices (id),
    app        TEXT    NOT NULL,
    source     TEXT    NOT NULL,
    namespace  TEXT    NOT NULL,
    identifier TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    grade      TEXT    NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    PRIMARY KEY (device_id, app, source, namespace, identifier, version, scope, grade, started_at)
) STRICT, WITHOUT ROWID;

CREATE TABLE deliveries (
    id           TEXT    NOT NULL PRIMARY KEY,
    channel      TEXT    NOT NULL,
    alert_id     TEXT    NOT NULL REFERENCES alerts (id),
    notification TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    due_at       INTEGER NOT NULL,
    attempts     INTEGER NOT NULL,
    state        TEXT    NOT NULL,
    last_error   TEXT,
    leased_by    TEXT,
    leased_until INTEGER
) STRICT;

CREATE INDEX deliveries_due ON deliveries (due_at)
WHERE state = 'pending';

CREATE INDEX deliveries_created ON deliveries (created_at);
