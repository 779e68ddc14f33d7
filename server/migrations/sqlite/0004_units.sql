-- The organisation as a tree. `path` is made from it: the unit and those above it, the nearest first, so that reading a
-- device's place climbs nothing; `placed_at` is when the path last changed.
CREATE TABLE units (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    parent      TEXT    REFERENCES units (id),
    owner       TEXT,
    owner_email TEXT,
    label       TEXT,
    path        TEXT    NOT NULL,
    placed_at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX units_parent ON units (parent);

-- Where a device belongs, of which something is known: the unit and how it came to it, what was said of it by people,
-- and when what rules read of that last changed. Beside `devices`, whose rows are large.
CREATE TABLE device_places (
    device_id TEXT    NOT NULL PRIMARY KEY REFERENCES devices (id),
    unit      TEXT    REFERENCES units (id),
    unit_by   TEXT,
    ownership TEXT,
    labels    TEXT    NOT NULL,
    person    TEXT,
    placed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX device_places_unit ON device_places (unit);

ALTER TABLE tokens ADD COLUMN unit TEXT REFERENCES units (id);
ALTER TABLE tokens ADD COLUMN labels TEXT NOT NULL DEFAULT '[]';

-- Until now tokens and devices listed a unit and those above it: `units`, which is read no more. Where two lists do not
-- agree on what is above a unit, the first by name is taken; units that would be above themselves go to the top.
INSERT INTO units (id, name, parent, path, placed_at)
SELECT step.unit, step.unit, min(step.parent), '', 0
FROM (
    SELECT one.value AS unit,
        (SELECT next.value FROM json_each(list.units) next WHERE next.key = one.key + 1) AS parent
    FROM (SELECT units FROM tokens UNION SELECT units FROM devices) list, json_each(list.units) one
) step
GROUP BY step.unit;

UPDATE units SET parent = NULL WHERE id IN (
    WITH RECURSIVE up (start, at) AS (
        SELECT id, parent FROM units WHERE parent IS NOT NULL
        UNION
        SELECT up.start, units.parent FROM up JOIN units ON units.id = up.at WHERE units.parent IS NOT NULL
    )
    SELECT start FROM up WHERE start = at
);

WITH RECURSIVE down (id, path) AS (
    SELECT id, '["' || id || '"]' FROM units WHERE parent IS NULL
    UNION ALL
    SELECT units.id, '["' || units.id || '",' || substr(down.path, 2) FROM units JOIN down ON units.parent = down.id
)
UPDATE units SET path = (SELECT down.path FROM down WHERE down.id = units.id);

UPDATE tokens SET unit = json_extract(units, '$[0]');

-- A device whose list was another one is to be told, and judged anew.
INSERT INTO device_places (device_id, unit, unit_by, labels, placed_at)
SELECT devices.id, units.id, 'token', '[]', CASE WHEN units.path <> devices.units THEN unixepoch() * 1000000 END
FROM devices JOIN units ON units.id = json_extract(devices.units, '$[0]');

UPDATE device_activity SET evaluate_at = 0
WHERE retired_at IS NULL AND device_id IN (SELECT device_id FROM device_places WHERE placed_at IS NOT NULL);
