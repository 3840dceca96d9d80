-- Every id by which what opened the session can be locked, as a JSON array: of a certificate its key, its authority and
-- its key id.
ALTER TABLE sessions ADD COLUMN authenticators TEXT NOT NULL DEFAULT '[]';
