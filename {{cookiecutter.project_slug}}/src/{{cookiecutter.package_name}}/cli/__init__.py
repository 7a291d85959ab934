"""Commands of `celery`, added by the entry point `celery.commands` in pyproject.toml."""
