"""Commands that hang into `celery`, by the entry point `celery.commands` in pyproject.toml."""
