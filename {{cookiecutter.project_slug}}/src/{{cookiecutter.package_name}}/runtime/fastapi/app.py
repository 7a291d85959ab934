"""The FastAPI app: routes, error handlers and middleware."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from ..logs import setup
from ..web import problems
from ..web.operations import OPENAPI, TAGS
from ..web.problems import Problem
from ..web.service import Service
from ..web.settings import settings
from . import admin, health, pages, tasks
from .middleware import BodyLimit, Correlation
from .responses import refuse
from .stopping import lifespan


def create_api(
    service: Service, *, title: str, version: str = "0.1.0", routes: Iterable[APIRouter] = ()
) -> FastAPI:
    """Return a FastAPI app with its documentation at `/docs`.

    Args:
        service: Sends the tasks.
        title: The title of the documentation.
        version: The version of the API.
        routes: Routes in addition to those that every app has.

    Raises:
        ConfigurationError: A setting is wrong or missing.
    """
    setup.unless_configured(service.app.settings.log_format)
    limit = settings().web_max_body_bytes
    settings().token()  # development generates one if it is missing
    service.app.loader.import_default_modules()  # import the tasks that it sends
    api = FastAPI(
        title=title,
        version=version,
        description=service.about,
        openapi_tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        docs_url=None,  # its own page loads Swagger UI from the Internet
        redoc_url=None,
        lifespan=lifespan,
    )
    api.openapi_version = OPENAPI
    for router in (
        tasks.routes(service),
        *routes,
        admin.routes(service),
        health.routes(service),
    ):
        api.include_router(router)
    pages.mount(api, service)
    api.add_exception_handler(Problem, on_error)
    api.add_exception_handler(RequestValidationError, on_invalid)
    api.add_exception_handler(HTTPException, on_http_error)
    api.add_exception_handler(Exception, on_error)
    api.add_middleware(BodyLimit, limit=limit)
    api.add_middleware(Correlation)  # the last one added is the first one called
    service.app.traces.web(api, f"{__package__}.traces:instrument")
    return api


async def on_error(_: Request, error: Exception) -> Response:
    """Answer an exception of a route."""
    return refuse(problems.of_error(error))


async def on_invalid(_: Request, error: Exception) -> Response:
    """Answer a request that is not valid."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # The first part of a location is `body`, `path` or `query`.
    return refuse(problems.of_fields({**e, "loc": e["loc"][1:]} for e in error.errors()))


async def on_http_error(_: Request, error: Exception) -> Response:
    """Answer an unknown route, a wrong method, or a body that is not JSON."""
    assert isinstance(error, HTTPException)  # noqa: S101
    return refuse(Problem(error.status_code, error.detail, error.headers))
