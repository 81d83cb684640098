"""README and docs as a reader works through them: every example as it stands, in a network that is the reader's own."""
