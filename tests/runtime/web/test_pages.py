"""The pages for people; `test_web` of the template opens them in a browser."""

import re

import httpx
import pytest
from host import KEEPS_RESULTS

from my_celery_project.runtime.web import pages

PAGES = ["docs", "live"] if KEEPS_RESULTS else ["docs"]
EXTERNAL = re.compile(r"(?:src|href)=\"(?:[a-z]+:)?//")


def test_the_root_leads_to_the_documentation(web: httpx.Client) -> None:
    answer = web.get("/")
    assert answer.is_redirect
    assert answer.headers["Location"] == "docs"
    assert web.get("/", follow_redirects=True).url.path == "/docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_loads_only_what_this_server_has(web: httpx.Client, name: str) -> None:
    page = web.get(f"/{name}")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"] == pages.POLICY
    assert "unsafe" not in pages.POLICY
    assert not EXTERNAL.search(page.text)
    assets = re.findall(r"(?:src|href)=\"(pages/[^\"]+)\"", page.text)
    assert len(assets) >= 3
    for asset in assets:
        answer = web.get(f"/{asset}")
        assert answer.is_success, asset
        assert answer.headers["Content-Type"].split(";")[0] in {
            "text/javascript",
            "text/css",
            "image/svg+xml",
        }
        assert len(answer.content) > 100
        assert answer.headers["Cache-Control"] == "no-cache"
        known = {"If-None-Match": answer.headers["ETag"]}
        assert web.get(f"/{asset}", headers=known).status_code == 304


def test_the_title_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PAGES:
        page = pages.page(name, "</title><script>alert(1)</script>").text
        assert "&lt;script&gt;" in page
        assert "<script>" not in page


def test_a_page_that_does_not_exist_is_a_problem(web: httpx.Client) -> None:
    paths = ["/pages/nothing.js", "/pages/%2e%2e/pages.py", "/pages/swagger-ui/..%2f..%2fx"]
    for path in [*paths, "/redoc", *([] if KEEPS_RESULTS else ["/live"])]:
        answer = web.get(path)
        assert answer.status_code == 404, path
        assert answer.headers["Content-Type"] == "application/problem+json"
