-- One lockdown of an account is open at a time: locking it down again goes on with it, so that what it took away first
-- is what an undo puts back.
CREATE TABLE lockdowns (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    reason       TEXT    NOT NULL,
    -- What was asked for, as JSON.
    wanted       TEXT    NOT NULL,
    started_at   INTEGER NOT NULL,
    -- NULL = something is left to do.
    finished_at  INTEGER,
    restored_at  INTEGER,
    -- Until then the prior states are kept.
    undo_until   INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX lockdowns_open ON lockdowns (account_id) WHERE restored_at IS NULL;
CREATE INDEX lockdowns_by_account ON lockdowns (account_id, id);

-- What a lockdown changed, as it was before. Holds secrets: never in events, errors or replies.
CREATE TABLE prior_states (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    lockdown_id  INTEGER NOT NULL REFERENCES lockdowns (id) ON DELETE CASCADE,
    kind         TEXT    NOT NULL,
    -- Path of the file, name of the unit; empty where there is one of its kind.
    name         BLOB    NOT NULL,
    content      BLOB    NOT NULL,
    -- JSON.
    details      TEXT    NOT NULL
) STRICT;
CREATE INDEX prior_states_by_lockdown ON prior_states (lockdown_id, kind);

-- Recovery codes that have not been used. The code itself is only in shadow(5), hashed.
CREATE TABLE recoveries (
    account_id   INTEGER PRIMARY KEY REFERENCES accounts (id),
    lockdown_id  INTEGER NOT NULL REFERENCES lockdowns (id),
    expires_at   INTEGER NOT NULL,
    -- The account's own expiry, which the code's stands in for meanwhile.
    valid_until  INTEGER
) STRICT;
