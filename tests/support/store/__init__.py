"""What tests do to a job table."""
