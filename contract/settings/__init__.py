"""Settings: nanobot's configuration, environment variables, and what belongs to an installation."""
