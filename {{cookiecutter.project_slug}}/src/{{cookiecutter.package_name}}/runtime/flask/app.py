"""The Flask app: routes, error handlers and middleware."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from flask import Response, request
from flask_openapi import APIBlueprint, Info, OpenAPI, SecurityScheme
from pydantic import ValidationError
from werkzeug.exceptions import HTTPException

from .. import context
from ..logs import setup
from ..web import problems
from ..web.correlation import HEADER, request_id
from ..web.operations import OPENAPI
from ..web.problems import Problem
from ..web.service import Service
from ..web.settings import settings
from . import admin, health, pages, tasks
from .responses import refuse

#: How much of a body that is too large is read: a multiple of the limit; and the bytes per piece.
PATIENCE = 10
CHUNK = 65_536


def create_api(
    service: Service, *, title: str, version: str = "0.1.0", routes: Iterable[APIBlueprint] = ()
) -> OpenAPI:
    """Return a Flask app with its documentation at `/docs`.

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
    api = OpenAPI(
        __name__,
        info=Info(title=title, version=version, description=service.about),
        security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer")},
        validation_error_callback=on_invalid,
        validation_error_model=problems.ProblemBody,
        doc_ui=False,  # its own pages are replaced by ours
        static_folder=None,
    )
    api.openapi_version = OPENAPI

    @api.get("/openapi.json", doc_ui=False)
    def document() -> Response:
        # Flask would sort its keys, and those of the examples in it.
        return Response(json.dumps(api.api_doc), content_type="application/json")

    api.config["MAX_CONTENT_LENGTH"] = limit
    for blueprint in (
        tasks.routes(service),
        *routes,
        admin.routes(service),
        health.routes(service),
    ):
        api.register_api(blueprint)
    for page in pages.routes(service, title):
        api.register_blueprint(page)
    api.before_request(check_length)
    api.register_error_handler(HTTPException, on_http_error)
    api.register_error_handler(Exception, on_error)
    api.wsgi_app = Correlation(api.wsgi_app)  # type: ignore[method-assign]
    service.app.traces.web(api, f"{__package__}.traces:instrument")
    return api


def check_length() -> None:
    """Refuse a body that is too large, after reading a reasonable part of it.

    gunicorn resets a connection with much unread input, so a client that is still sending may never
    see the answer. Werkzeug would cut off a body without a declared length at the limit and go on.
    """
    limit = request.max_content_length
    length = request.content_length
    if not limit:
        return
    if length is None:
        is_large = len(request.get_data()) >= limit
    else:
        is_large = length > limit
        left = min(length, PATIENCE * limit) if is_large else 0
        while left and (read := len(request.environ["wsgi.input"].read(min(left, CHUNK)))):
            left -= read
    if is_large:
        raise Problem(413, f"the body is larger than {limit} bytes: send less")


def on_error(error: Exception) -> Response:
    """Answer an exception of a route."""
    return refuse(problems.of_error(error))


def on_invalid(error: ValidationError) -> Response:
    """Answer a request that is not valid."""
    return refuse(problems.of_fields(error.errors()))


def on_http_error(error: HTTPException) -> Response:
    """Answer an unknown route, a wrong method, or a body that is too large."""
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return refuse(Problem(error.code or 500, error.description or error.name, headers))


class Correlation:
    """Middleware that adds the id of a request to everything that it publishes and logs."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self.app = app

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Handle a request."""
        correlation_id = request_id(environ.get("HTTP_X_REQUEST_ID"))

        def start_with_id(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
            return start_response(status, [*headers, (HEADER, correlation_id)], *error)

        with context.bind(correlation_id=correlation_id):
            return self.app(environ, start_with_id)
