{% set is_fastapi = cookiecutter.framework == "fastapi" %}
{% set api = "FastAPI" if is_fastapi else "Flask" %}
{% set service = "FollowedService" if cookiecutter.__results else "Service" %}
"""The web app, which {{ "uvicorn" if is_fastapi else "gunicorn" }} serves (see the Procfile)."""

from __future__ import annotations

from {{ api | lower }} import {{ api }}

{% if cookiecutter.__results and cookiecutter.__examples %}
from ..artifacts import artifacts
{% endif %}
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
    """Return the app, with its documentation at `/docs`.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
{% if cookiecutter.__sql %}
    checks = {"database": database.check}
{% endif %}
    service = {{ service }}(app, ALLOWED, Priority{{ ", checks" if cookiecutter.__sql }}{{ ", artifacts=artifacts" if cookiecutter.__results and cookiecutter.__examples }})
    return create_api(service, title=TITLE{{ ", routes=[results.routes(service)]" if cookiecutter.__results }})
