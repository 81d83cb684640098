"""HTTP to providers: calls, polls, downloads."""
