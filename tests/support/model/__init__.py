"""The model of the job table that random tests compare with Redis."""
