-- Of an account that is gone from the host: another one has its uid by now, and nothing that is kept here is meant for that one.
ALTER TABLE accounts ADD COLUMN uid_is_anothers INTEGER NOT NULL DEFAULT 0 CHECK (uid_is_anothers IN (0, 1));
