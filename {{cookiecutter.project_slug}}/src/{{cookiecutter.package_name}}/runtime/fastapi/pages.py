"""The pages for people, and their scripts and styles."""

from __future__ import annotations

from importlib.resources import files

import fastapi_offline
from fastapi import FastAPI, Response
from fastapi.responses import RedirectResponse
from fastapi.staticfiles import StaticFiles

from ..web import pages
from ..web.service import Service
from .responses import response

#: The files of Swagger UI. The package could serve them itself, on a page with scripts in it.
SWAGGER_UI = str(files(fastapi_offline) / "static")


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

    api.mount("/pages/swagger-ui", StaticFiles(directory=SWAGGER_UI))
    api.mount("/pages", StaticFiles(directory=pages.FOLDER))
