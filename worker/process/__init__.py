"""The worker process: start, Celery, watchdog, shutdown, sweeper."""
