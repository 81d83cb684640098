"""What every process logs."""
