"""The HTTP contract of `web/`, mounted on Flask.

    tasks = Service(app, ALLOWED, Priority)
    api = create_api(tasks, title="...")

Where tasks can be followed, `results.routes` has the routes for it.
"""

from .app import create_api

__all__ = ["create_api"]
