"""Background tasks; the Celery app is in `celery.py`."""
