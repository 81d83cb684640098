"""The Celery side: takes a job's bell, asks the provider, writes the artifacts."""
