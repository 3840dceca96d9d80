-- Who has the uid of an account: the account itself; after it was removed from the host, nobody; and then perhaps another one, for
-- whom nothing that is kept here is meant.
ALTER TABLE accounts ADD COLUMN uid_holder TEXT NOT NULL DEFAULT 'itself' CHECK (uid_holder IN ('itself', 'nobody', 'another'));
