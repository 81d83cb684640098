"""The way to Redis: its client, what it must be, and why it cannot be used."""
