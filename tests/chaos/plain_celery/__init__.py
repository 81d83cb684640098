"""The same faults over a plain Celery worker, for comparison."""
