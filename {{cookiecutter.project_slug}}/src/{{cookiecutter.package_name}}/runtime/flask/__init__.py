"""The HTTP API of `web/`, mounted on Flask.

    tasks = Service(app, ALLOWED, Priority)
    api = create_api(tasks, title="...")

If the project keeps results, `results.routes` adds the routes for following tasks.
"""

from .app import create_api

__all__ = ["create_api"]
