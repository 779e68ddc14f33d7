-- Every breach that there was, with the unit and the person of then; and what was decided about it.
CREATE TABLE ledger (
    sequence  INTEGER NOT NULL PRIMARY KEY,
    at        INTEGER NOT NULL,
    alert_id  TEXT    NOT NULL REFERENCES alerts (id),
    device_id TEXT    NOT NULL REFERENCES devices (id),
    kind      TEXT    NOT NULL,
    rule      TEXT    NOT NULL,
    app       TEXT    NOT NULL,
    severity  TEXT    NOT NULL,
    units     TEXT    NOT NULL,
    person    TEXT,
    returned  INTEGER NOT NULL
) STRICT;

-- One row for the unit of each entry and for every unit above it.
CREATE TABLE ledger_units (
    unit     TEXT    NOT NULL,
    at       INTEGER NOT NULL,
    sequence INTEGER NOT NULL REFERENCES ledger (sequence),
    PRIMARY KEY (unit, at, sequence)
) STRICT, WITHOUT ROWID;

CREATE INDEX ledger_at ON ledger (at);
CREATE INDEX ledger_device ON ledger (device_id, at);
CREATE INDEX ledger_person ON ledger (person, at)
WHERE person IS NOT NULL;

CREATE TABLE rulings (
    sequence INTEGER NOT NULL PRIMARY KEY,
    at       INTEGER NOT NULL,
    whose    TEXT    NOT NULL,
    whose_id TEXT    NOT NULL,
    alerts   TEXT    NOT NULL,
    measure  TEXT    NOT NULL,
    actor    TEXT    NOT NULL,
    text     TEXT    NOT NULL
) STRICT;
CREATE INDEX rulings_whose ON rulings (whose, whose_id, sequence);

ALTER TABLE alert_events ADD COLUMN why TEXT;

-- What happened before: with the units and persons of now, since those of then were not kept.
INSERT INTO ledger (sequence, at, alert_id, device_id, kind, rule, app, severity, units, person, returned)
SELECT e.sequence, e.at, l.id, l.device_id, l.kind, l.rule, l.app, l.severity, coalesce(u.path, '[]'), p.person,
    e.action = 'reopened'
FROM alert_events e JOIN alerts l ON l.id = e.alert_id
    LEFT JOIN device_places p ON p.device_id = l.device_id LEFT JOIN units u ON u.id = p.unit
WHERE e.action IN ('opened', 'reopened') AND e.actor = 'collector' AND l.app <> '';
INSERT INTO ledger_units (unit, at, sequence)
SELECT j.value, g.at, g.sequence FROM ledger g, json_each(g.units) j;
