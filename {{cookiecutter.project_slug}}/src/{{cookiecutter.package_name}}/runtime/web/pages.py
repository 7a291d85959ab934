"""The pages for people: `/docs`, except in Django, and at `/live` a page that follows tasks.

All that they load is served by this process, so they work without the Internet, and a strict
content security policy keeps everything else out. Their links are relative, so they also work
below the path of a proxy.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from .answers import Answer

#: Scripts and styles of the pages, which are served below `/pages`.
FOLDER = Path(__file__).parent / "static"

#: Where the path `/` leads: what a person wants to see first, and the page needs no upkeep.
START = "docs"

#: What the pages contain, unless a framework says otherwise: where their files are, the link in the
#: corner, and what Django asks of a page that sends something.
WORDS = {"files": "pages", "corner": START, "corner_name": "API documentation", "csrf_token": ""}

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


def page(name: str, title: str, **words: str) -> Answer:
    """Return a page.

    Args:
        name: The name of its file.
        title: The title of the API.
        words: What replaces some of `WORDS`.
    """
    template = Template((FOLDER / f"{name}.html").read_text("utf-8"))
    said = {**WORDS, "title": title, **words}
    text = template.substitute({word: escape(value) for word, value in said.items()})
    return Answer(text, 200, HEADERS, "text/html; charset=utf-8")
