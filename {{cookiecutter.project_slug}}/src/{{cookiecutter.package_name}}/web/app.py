{% set is_fastapi = cookiecutter.framework == "fastapi" %}
{% set api = "FastAPI" if is_fastapi else "Flask" %}
{% set service = "FollowedService" if cookiecutter.__results else "Service" %}
"""The web app, which {{ "uvicorn" if is_fastapi else "gunicorn" }} serves (see the Procfile)."""

from __future__ import annotations

from {{ api | lower }} import {{ api }}

from ..celery import app
from ..queues import Priority
from ..runtime.{{ api | lower }} import create_api{{ ", results" if cookiecutter.__results }}
{% if cookiecutter.__sql %}
from ..runtime.sql import database
{% endif %}
from ..runtime.web.{{ "results" if cookiecutter.__results else "service" }} import {{ service }}
from .catalog import ALLOWED

TITLE = {{ cookiecutter.__project_name }}


def create_app() -> {{ api }}:
    """Return the app, with its documentation at {{ "`/docs`" if is_fastapi else "`/openapi.json`" }}.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
    service = {{ service }}(app, ALLOWED, Priority{{ ', {"database": database.check}' if cookiecutter.__sql }})
    return create_api(service, title=TITLE{{ ", routes=[results.routes(service)]" if cookiecutter.__results }})
