"""The web app, which uvicorn serves: see the Procfile."""

from __future__ import annotations

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..celery import app
from . import problems
from .answers import refuse
from .middleware import BodyLimit, Correlation
from .problems import Problem
from .routes import admin, health, {{ "results, " if cookiecutter.__results }}tasks
from .settings import settings

TITLE = {{ cookiecutter.__project_name }}


def create_app() -> FastAPI:
    """Return the app, whose documentation is at `/docs`.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
    limit = settings().web_max_body_bytes
    settings().token()  # development makes one up
    app.loader.import_default_modules()  # the tasks that it sends
    api = FastAPI(title=TITLE, version="0.1.0")
    for router in (tasks.router, {{ "results.router, " if cookiecutter.__results }}admin.router, health.router):
        api.include_router(router)
    api.add_exception_handler(Problem, on_error)
    api.add_exception_handler(RequestValidationError, on_invalid)
    api.add_exception_handler(HTTPException, on_http_error)
    api.add_exception_handler(Exception, on_error)
    api.add_middleware(BodyLimit, limit=limit)
    api.add_middleware(Correlation)  # the last one added is the first one called
    return api


async def on_error(_: Request, error: Exception) -> Response:
    """Answer what a call raised."""
    return refuse(problems.of_error(error))


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer a request that is not valid."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # The first part of a place is `body`, `path` or `query`.
    return refuse(problems.of_fields({**e, "loc": e["loc"][1:]} for e in error.errors()))


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer what is no route, no method, or no JSON."""
    assert isinstance(error, HTTPException)  # noqa: S101
    return refuse(Problem(error.status_code, error.detail, error.headers))
