"""Tasks, one module per kind of work; `TASK_MODULES` in `celery.py` lists them."""
