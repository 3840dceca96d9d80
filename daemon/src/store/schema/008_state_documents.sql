-- What state documents have said, and what of the store is their doing. Their locks need no note: those of the owner
-- `config:<name>` are the document's.
CREATE TABLE documents (
    name        TEXT    PRIMARY KEY,
    -- 'directory': a file of state.d; 'given': by ApplyState.
    origin      TEXT    NOT NULL CHECK (origin IN ('directory', 'given')),
    -- The file, or what stands for it in messages.
    path        TEXT    NOT NULL,
    -- SHA-256 of the text.
    hash        BLOB    NOT NULL,
    -- A hash over what it had in the store when it was applied: where that differs now, it is applied anew.
    standing    BLOB    NOT NULL,
    -- It names groups: who is in them changes by itself.
    has_groups  INTEGER NOT NULL CHECK (has_groups IN (0, 1)),
    -- Of what it names, so many are not known to this host, or were not to be asked for.
    pending     INTEGER NOT NULL,
    -- Names of accounts that it protects, as a JSON array.
    protected   TEXT    NOT NULL,
    applied_at  INTEGER NOT NULL,
    -- The last column: it may be megabytes, and the others are read without it.
    text        TEXT    NOT NULL
) STRICT;

-- What a document has set of an account: taking it away takes away just that, and only while it is what stands.
CREATE TABLE document_values (
    account_id  INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    -- `valid_until`, `identifiers.KIND`, `metadata.KEY`
    key         TEXT    NOT NULL,
    document    TEXT    NOT NULL,
    -- Of `valid_until` Unix seconds; 0 = never.
    value       TEXT    NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_values_by_document ON document_values (document);

-- The states that documents declare of accounts, but 'locked', which their locks say. 'deactivated': expired in shadow(5) for as long as
-- a document says so. 'unlocked': for whoever wants to know what a document says.
CREATE TABLE document_states (
    account_id  INTEGER NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    document    TEXT    NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('deactivated', 'unlocked')),
    PRIMARY KEY (account_id, document, state)
) STRICT, WITHOUT ROWID;
CREATE INDEX document_states_by_document ON document_states (document, state);

-- The account's own expiry in shadow(5), field 8, from before documents deactivated it; '' = none. Goes when it is put back.
CREATE TABLE shadow_expiries (
    account_id  INTEGER PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    expires     TEXT    NOT NULL
) STRICT;

-- A document asks for all locks of its owner, in this order.
CREATE INDEX locks_by_owner ON locks (owner, account_id, authenticator);
