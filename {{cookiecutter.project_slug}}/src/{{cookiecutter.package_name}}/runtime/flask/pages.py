"""The pages for people with their scripts and styles, and that for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files

import flask_swagger_ui
from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from ..web import metrics, pages
from ..web.service import Service
from .responses import response

#: The files of Swagger UI. The package could serve them itself, on a page with scripts in it.
SWAGGER_UI = str(files(flask_swagger_ui) / "dist")


def routes(service: Service, title: str) -> Iterator[Blueprint]:
    """Yield the routes of the pages.

    Args:
        service: The service.
        title: The title of the API.
    """
    yield Blueprint(
        "swagger_ui",
        __name__,
        static_folder=SWAGGER_UI,
        static_url_path="/pages/swagger-ui",
    )

    own = Blueprint("pages", __name__, static_folder=pages.FOLDER, static_url_path="/pages")

    @own.get("/")
    def start() -> AnyResponse:
        return redirect(pages.START)

    @own.get("/docs")
    def docs() -> Response:
        return response(pages.page("docs", title))

    if service.has_live_page:

        @own.get("/live")
        def live() -> Response:
            return response(pages.page("live", title))

    if page := metrics.page_of(service.app):

        @own.get("/metrics")
        def figures() -> Response:
            return response(page(request.headers.get("Authorization")))

    yield own
