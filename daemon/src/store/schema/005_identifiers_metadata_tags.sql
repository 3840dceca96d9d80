-- Nothing has written the table of identifiers so far. `compared` is what two of a kind are compared by, `value` what was
-- written.
DROP TABLE identifiers;
CREATE TABLE identifiers (
    kind        TEXT    NOT NULL,
    compared    TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    account_id  INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, compared),
    UNIQUE (account_id, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE metadata (
    account_id  INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    key         TEXT    NOT NULL,
    value       TEXT    NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

-- Rows of sessions go some time after their end; this stays.
ALTER TABLE accounts ADD COLUMN last_session_end INTEGER;
UPDATE accounts SET last_session_end = (SELECT max(ended_at) FROM sessions WHERE account_id = accounts.id);

-- What a caller gave with a call, as a JSON object of strings.
ALTER TABLE events ADD COLUMN tags TEXT NOT NULL DEFAULT '{}';
