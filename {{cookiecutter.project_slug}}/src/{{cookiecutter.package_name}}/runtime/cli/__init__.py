"""Commands of `celery`."""
