"""What is read of the running system: open circuit breakers, workers and their versions, the journal of jobs."""
