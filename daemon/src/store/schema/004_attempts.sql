-- A lock of attack protection may be for one source alone: '' = the account, 'remote' = all remote hosts, otherwise the source.
-- SQLite changes no constraint of a table, so this is a new one; what its numbers have reached is kept, for they must not
-- come back.
CREATE TABLE locks_by_source (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    -- '' = the account itself, otherwise the id of one of its authenticators.
    authenticator  TEXT    NOT NULL DEFAULT '',
    owner          TEXT    NOT NULL,
    source         TEXT    NOT NULL DEFAULT '',
    reason         TEXT    NOT NULL,
    message        TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    expires_at     INTEGER,
    UNIQUE (account_id, authenticator, owner, source)
) STRICT;
INSERT INTO locks_by_source
    (id, account_id, authenticator, owner, reason, message, created_at, created_by, expires_at)
    SELECT id, account_id, authenticator, owner, reason, message, created_at, created_by, expires_at FROM locks;
DELETE FROM sqlite_sequence WHERE name = 'locks_by_source';
INSERT INTO sqlite_sequence (name, seq) SELECT 'locks_by_source', seq FROM sqlite_sequence WHERE name = 'locks';
DROP TABLE locks;
ALTER TABLE locks_by_source RENAME TO locks;
CREATE INDEX locks_by_expiry ON locks (expires_at) WHERE expires_at IS NOT NULL;

-- Failed attempts, from the tallies of the login path. Those are what counts; these are for people.
CREATE TABLE failures (
    id          INTEGER PRIMARY KEY,
    account_id  INTEGER NOT NULL REFERENCES accounts (id),
    -- Of the tally, from 1. A tally that somebody has removed begins anew, at another time.
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    service     TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    standing    TEXT    NOT NULL CHECK (standing IN ('counted', 'cleared', 'not-counted')),
    -- It brought a lock about.
    locked      INTEGER NOT NULL CHECK (locked IN (0, 1)),
    -- An event has told of it.
    told        INTEGER NOT NULL DEFAULT 0 CHECK (told IN (0, 1)),
    UNIQUE (account_id, number, at)
) STRICT;
CREATE INDEX failures_by_account ON failures (account_id, at);
CREATE INDEX failures_by_time ON failures (at);
CREATE INDEX failures_untold ON failures (account_id) WHERE told = 0;

-- Counted in the table above.
ALTER TABLE accounts DROP COLUMN failed_attempts;
