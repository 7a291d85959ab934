"""Commands that the project adds to `celery`."""
