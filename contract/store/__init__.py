"""The job table in Redis, and the doorbell over Celery."""
