-- Times are Unix seconds. NULL means "never" or "unknown".

CREATE TABLE accounts (
    id               INTEGER PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE,
    uid              INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    valid_until      INTEGER,
    -- The passing of valid_until has been reported, its sessions ended.
    expiry_reported  INTEGER NOT NULL DEFAULT 0 CHECK (expiry_reported IN (0, 1)),
    failed_attempts  INTEGER NOT NULL DEFAULT 0,
    last_sign_in     INTEGER
) STRICT;
CREATE INDEX accounts_by_uid ON accounts (uid);
CREATE INDEX accounts_by_expiry ON accounts (valid_until) WHERE valid_until IS NOT NULL;

CREATE TABLE identifiers (
    kind        TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    account_id  INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, value)
) STRICT, WITHOUT ROWID;

CREATE TABLE locks (
    -- AUTOINCREMENT: the number of a lock is in events and must not come back.
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    -- '' = the account itself, otherwise the id of one of its authenticators.
    authenticator  TEXT    NOT NULL DEFAULT '',
    owner          TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    message        TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    created_by     TEXT    NOT NULL,
    expires_at     INTEGER,
    UNIQUE (account_id, authenticator, owner)
) STRICT;
CREATE INDEX locks_by_expiry ON locks (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE sessions (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id     INTEGER NOT NULL REFERENCES accounts (id),
    -- Pids and logind's ids mean something within one boot only.
    boot_id        TEXT    NOT NULL,
    logind_id      TEXT,
    service        TEXT    NOT NULL,
    tty            TEXT    NOT NULL,
    remote_host    TEXT    NOT NULL,
    leader_pid     INTEGER NOT NULL,
    authenticator  TEXT    NOT NULL,
    started_at     INTEGER NOT NULL,
    ended_at       INTEGER
) STRICT;
CREATE UNIQUE INDEX sessions_by_logind_id ON sessions (boot_id, logind_id) WHERE logind_id IS NOT NULL;
CREATE INDEX sessions_open ON sessions (account_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_by_end ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    action    TEXT    NOT NULL,
    severity  TEXT    NOT NULL,
    -- By name, not by reference: the trail outlives the account.
    account   TEXT    NOT NULL,
    target    TEXT    NOT NULL,
    owner     TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    outcome   TEXT    NOT NULL,
    error     TEXT    NOT NULL,
    -- JSON objects of strings.
    caller    TEXT    NOT NULL,
    input     TEXT    NOT NULL
) STRICT;
CREATE INDEX events_by_account ON events (account, id);
CREATE INDEX events_by_action ON events (action, id);
CREATE INDEX events_by_time ON events (time);

CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
