-- A version without effective_from is in force since it was published. One with it is in force since in_force_since, which is
-- written once, when its time has come; the program of the version before knows neither and takes the newest.
ALTER TABLE policies ADD COLUMN effective_from INTEGER;
ALTER TABLE policies ADD COLUMN in_force_since INTEGER;
ALTER TABLE policies ADD COLUMN approved_by TEXT;
ALTER TABLE policies ADD COLUMN cancelled_at INTEGER;
ALTER TABLE policies ADD COLUMN cancelled_by TEXT;

-- Policies that are not published, or not yet: a proposal is a draft that waits for somebody to approve it. A row is never
-- changed, so that an id stands for one text.
CREATE TABLE policy_drafts (
    id             TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    author         TEXT    NOT NULL,
    comment        TEXT    NOT NULL,
    saved_at       INTEGER NOT NULL,
    proposed       INTEGER NOT NULL CHECK (proposed IN (0, 1)),
    based_on       INTEGER NOT NULL,
    effective_from INTEGER
) STRICT;

-- Tokens for programs of the organisation, such as those that publish policies from a repository.
CREATE TABLE api_tokens (
    id          TEXT    NOT NULL PRIMARY KEY,
    secret_hash TEXT    NOT NULL,
    label       TEXT    NOT NULL,
    may         TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    revoked_at  INTEGER
) STRICT, WITHOUT ROWID;
