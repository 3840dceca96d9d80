-- One lockdown of an account is open at a time: locking it down again goes on with it, so that what it took away first
-- is what an undo puts back.
CREATE TABLE lockdowns (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id   INTEGER NOT NULL REFERENCES accounts (id),
    reason       TEXT    NOT NULL,
    -- How often it was ordered: who carries out an earlier order does not end a later one.
    orders       INTEGER NOT NULL DEFAULT 1,
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
    -- A shadow line becomes an 'expiry' when its hash is forgotten: what it says of the account's end is needed for longer.
    kind         TEXT    NOT NULL,
    -- Path of the file, name of the unit; empty where there is one of its kind.
    name         BLOB    NOT NULL,
    -- The secret part: of a file, its content; of a shadow line, its hash.
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
