-- Each event carries a hash over all of its columns and the hash of the event before it (store/events/chain.rs). The first
-- one's predecessor is 32 zero bytes, or the newest checkpoint.
ALTER TABLE events ADD COLUMN hash BLOB NOT NULL DEFAULT x'';

-- Up to here events were removed because of their age. The trail goes on from this hash, and an event `events-pruned` says so.
CREATE TABLE event_checkpoints (
    -- The last event that was removed.
    up_to  INTEGER PRIMARY KEY,
    -- Its hash.
    hash   BLOB    NOT NULL,
    -- How many were removed since the checkpoint before.
    count  INTEGER NOT NULL,
    time   INTEGER NOT NULL
) STRICT;

-- What the trail has last said of each setting, as `section.key`: a change made while the daemon was not running is told at
-- its next start.
CREATE TABLE settings (
    key    TEXT PRIMARY KEY,
    value  TEXT NOT NULL
) STRICT, WITHOUT ROWID;

DROP TRIGGER events_are_not_changed;
DROP TRIGGER events_are_not_removed;
-- Events from before this step have no hash yet, and are given one in it.
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events WHEN OLD.hash <> x''
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER events_are_not_removed BEFORE DELETE ON events
WHEN OLD.id > ifnull((SELECT max(up_to) FROM event_checkpoints), 0)
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER event_checkpoints_are_not_changed BEFORE UPDATE ON event_checkpoints
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER event_checkpoints_are_not_removed BEFORE DELETE ON event_checkpoints
BEGIN SELECT raise(ABORT, 'the audit trail is append-only'); END;

-- Listings go by time, so every index ends in it. Most events are sessions: those indices that say nothing of them leave
-- them out.
DROP INDEX events_by_account;
DROP INDEX events_by_action;
CREATE INDEX events_by_account ON events (account, time);
CREATE INDEX events_by_action ON events (action, time);
CREATE INDEX events_by_severity ON events (severity, time) WHERE severity <> 'info';
CREATE INDEX events_by_owner ON events (owner, time) WHERE owner <> '';
CREATE INDEX events_by_caller ON events (caller ->> '$.name', time) WHERE caller <> '{}';
