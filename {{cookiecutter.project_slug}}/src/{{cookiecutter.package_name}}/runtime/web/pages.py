"""The pages for people: the documentation at `/docs`, and at `/live` a page that follows tasks.

All that they load is served by this process, so they work without the Internet, and a strict
content security policy keeps everything else out. Their links are relative, so they also work
below the path of a proxy.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from .answers import Answer

#: Scripts and styles of the pages, which are served below `/pages`.
FOLDER = Path(__file__).parent / "static"

#: Where the path `/` leads: what a person wants to see first, and the page needs no upkeep.
START = "docs"

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(name: str, title: str) -> Answer:
    """Return a page.

    Args:
        name: The name of its file.
        title: The title of the API.
    """
    text = (FOLDER / f"{name}.html").read_text("utf-8").replace("TITLE", escape(title))
    return Answer(text, 200, HEADERS, "text/html; charset=utf-8")
