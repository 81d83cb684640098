"""The Python client of one owner, and what it does before and after a job is submitted."""
