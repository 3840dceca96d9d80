-- Word that is to get out: a row is written in the transaction of its event, and removed when it is delivered.
CREATE TABLE outbox (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    -- `msg_` and 32 hexadecimal digits. Stays the same over all attempts: a receiver can tell a repetition by it.
    id               TEXT    NOT NULL UNIQUE,
    rule             TEXT    NOT NULL,
    transport        TEXT    NOT NULL,
    -- 0 info, 1 notice, 2 warning, 3 critical: the queue goes by it when it is full.
    severity         INTEGER NOT NULL CHECK (severity BETWEEN 0 AND 3),
    action           TEXT    NOT NULL,
    -- Of the first event; may be empty.
    account          TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    next_attempt_at  INTEGER NOT NULL,
    give_up_at       INTEGER NOT NULL,
    attempts         INTEGER NOT NULL DEFAULT 0,
    state            TEXT    NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'dead')),
    -- More events of the same kind can join it.
    is_open          INTEGER NOT NULL CHECK (is_open IN (0, 1)),
    -- Whether the account is in one of the rule's groups has still to be looked up.
    is_unsure        INTEGER NOT NULL CHECK (is_unsure IN (0, 1)),
    last_error       TEXT    NOT NULL DEFAULT '',
    -- Events that it stands for; outbox_events names the last of them.
    total            INTEGER NOT NULL DEFAULT 1
) STRICT;
CREATE INDEX outbox_by_rule ON outbox (rule, state, next_attempt_at, number);
CREATE INDEX outbox_by_severity ON outbox (state, severity, number);
CREATE INDEX outbox_by_time ON outbox (state, next_attempt_at);
CREATE INDEX outbox_by_end ON outbox (state, give_up_at);
CREATE UNIQUE INDEX outbox_open ON outbox (rule, action) WHERE is_open = 1;
CREATE INDEX outbox_unsure ON outbox (number) WHERE is_unsure = 1;

CREATE TABLE outbox_events (
    message   INTEGER NOT NULL REFERENCES outbox (number) ON DELETE CASCADE,
    -- No reference: the trail forgets an event when it is old, whatever becomes of the message.
    event_id  INTEGER NOT NULL,
    account   TEXT    NOT NULL,
    PRIMARY KEY (message, event_id)
) STRICT, WITHOUT ROWID;

-- How many events of each account an open message stands for, where that decides whether it is sent.
CREATE TABLE outbox_accounts (
    message  INTEGER NOT NULL REFERENCES outbox (number) ON DELETE CASCADE,
    account  TEXT    NOT NULL,
    total    INTEGER NOT NULL,
    PRIMARY KEY (message, account)
) STRICT, WITHOUT ROWID;

-- Messages that a full queue has dropped, and of which no event tells yet.
CREATE TABLE outbox_drops (
    id           INTEGER PRIMARY KEY CHECK (id = 1),
    count        INTEGER NOT NULL,
    reported_at  INTEGER NOT NULL
) STRICT;
INSERT INTO outbox_drops (id, count, reported_at) VALUES (1, 0, 0);
