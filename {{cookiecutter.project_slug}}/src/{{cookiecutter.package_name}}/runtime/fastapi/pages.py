"""The pages for people with their scripts and styles, and that for Prometheus."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from ..web import metrics, pages
from ..web.service import Service
from .responses import call, response

#: The files of Swagger UI. The package could serve them itself, on a page with scripts in it.
SWAGGER_UI = str(files(fastapi_offline) / "static")


class Files(StaticFiles):
    """Files that a browser asks for again, so that it never mixes those of two versions."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Return a file, or that it has not changed."""
        answer = super().file_response(*args, **options)
        answer.headers["Cache-Control"] = "no-cache"
        return answer


def mount(api: FastAPI, service: Service) -> None:
    """Add the pages to an app."""

    @api.get("/", include_in_schema=False)
    async def start() -> Response:
        return RedirectResponse(pages.START)

    @api.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return response(pages.page("docs", api.title))

    if service.has_live_page:

        @api.get("/live", include_in_schema=False)
        async def live() -> Response:
            return response(pages.page("live", api.title))

    service.app.web_metrics.begin()
    if page := metrics.page_of(service.app):

        @api.get("/metrics", include_in_schema=False)
        async def figures(request: Request) -> Response:
            return response(await call(page, request.headers.get("Authorization")))

    api.mount("/pages/swagger-ui", Files(directory=SWAGGER_UI))
    api.mount("/pages", Files(directory=pages.FOLDER))
