"""The pages of the web API in a real browser: the documentation, and the one that follows tasks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from playwright.sync_api import Locator, Page, expect, sync_playwright

from conftest import Edit, Running
from servers import PATIENCE, Fleet, free_port, needed
from test_django import DJANGO, manage
from test_web import ADMIN, FRAMEWORKS, lives
from variants import Answers, each

each_framework = each(FRAMEWORKS)

#: What a task says and returns: text that a page must show as it is.
MARKUP = "<img src=x onerror=document.title='broken'><script>document.title='broken'</script>"

#: A task that reports its progress, and ends when there is a file for it.
TOLD: Edit = (
    "src/*/tasks/heartbeat.py",
    "    return worker\n",
    f"""    import time
    from pathlib import Path

    told = {{"current": 1, "total": 2, "percent": 50.0, "message": {MARKUP!r}}}
    self.update_state(state="PROGRESS", meta=told)
    while not Path("go-on").exists():
        time.sleep(0.05)
    if Path("fail").exists():
        raise RuntimeError({MARKUP!r})
    return {MARKUP!r}
""",
)

#: For each text of a page, its contrast with the background: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio.
CONTRASTS = """() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const linear = (part) => part <= .04045 ? part / 12.92 : ((part + .055) / 1.055) ** 2.4;
  const light = (color) => {
    const [r, g, b] = numbers(color).map((part) => linear(part / 255));
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return numbers(color)[3] === 0 && element.parentElement ? behind(element.parentElement) : color;
  };
  const texts = [...document.querySelectorAll("body *")].filter(
    (element) => element.checkVisibility() && element.offsetHeight && element.value !== "" &&
      [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
  return texts.map((element) => {
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    return [element.textContent.slice(0, 40), (a + .05) / (b + .05)];
  });
}"""


@contextmanager
def browser(port: int, expected: str = "nothing", login: tuple[str, str] | None = None) -> Iterator[Page]:
    """Yield a page of a browser; in the end, nothing in it has failed and it has asked no other server.

    Args:
        port: The port of the web server.
        expected: A pattern for errors of the console that are part of the test.
        login: The user and the password, if the server asks for them.
    """
    chromium = needed("chromium")
    failures: list[str] = []
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page(
            base_url=f"http://127.0.0.1:{port}",
            http_credentials={"username": login[0], "password": login[1]} if login else None,
        )
        page.set_default_timeout(PATIENCE * 1000)
        expect.set_options(timeout=PATIENCE * 1000)
        page.on("console", lambda message: failures.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.on("request", lambda request: asked.add(request.url.split("/")[2]))
        asked: set[str] = set()
        yield page
        assert asked == {f"127.0.0.1:{port}"}
        assert [text for text in failures if not re.search(expected, text)] == []


@contextmanager
def served(fleet: Fleet, **more: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Start the web server, and yield its port and its variables."""
    port = free_port()
    variables = {"WEB_PORT": str(port), "APP_ADMIN_TOKEN": ADMIN, **more}
    if (fleet.project.folder / "manage.py").is_file():
        manage(fleet, "migrate")
    fleet.start("web", **variables)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        fleet.wait(lambda: lives(client), "the web server answers")
    yield port, variables


def send(page: Page, task: str, **fields: str) -> Locator:
    """Fill in the form of a task and send it, and return what the page shows about it."""
    form = page.locator("#tasks form").filter(has=page.get_by_role("heading", name=task))
    for name, value in fields.items():
        form.get_by_label(name).fill(value)
    count = page.locator("#runs > li").count()
    form.get_by_role("button", name="Send").click()
    expect(page.locator("#runs > li")).to_have_count(count + 1)
    return page.locator("#runs > li").nth(-1 - count)


def check_contrast(page: Page) -> None:
    """Make sure that everything can be read in light and in dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        contrasts = page.evaluate(CONTRASTS)
        assert len(contrasts) > 10
        assert [found for found in contrasts if found[1] < 4.5] == [], scheme


@each_framework
def test_the_documentation_calls_the_api(answers: Answers, running: Running) -> None:
    with running(answers) as fleet, served(fleet) as (port, _), browser(port) as page:
        page.goto("/")
        assert page.url == f"http://127.0.0.1:{port}/docs"
        operation = page.locator(".opblock").filter(has=page.get_by_text("Send a task", exact=True))
        operation.get_by_text("Send a task", exact=True).click()
        operation.get_by_role("button", name="Execute").click()
        answer = operation.locator(".live-responses-table .response-col_status").last
        expect(answer).to_contain_text("202")
        with page.expect_popup() as opened:
            page.get_by_role("link", name="live page").click()
        expect(opened.value.locator("#tasks form").first).to_be_visible()


@each_framework
def test_a_task_is_followed_to_its_end(answers: Answers, running: Running) -> None:
    with running(answers, TOLD) as fleet, served(fleet) as (port, _), browser(port) as page:
        page.goto("/live")
        title = page.title()
        run = send(page, "heartbeat.beat")
        expect(run).to_contain_text("waits for a worker")
        run.get_by_role("button", name="Cancel").click()
        expect(run).to_contain_text("was cancelled")

        fleet.start("general")
        run = send(page, "heartbeat.beat")
        expect(run.locator(".message")).to_have_text(f"50 % {MARKUP}")
        expect(run.locator("progress")).to_have_js_property("value", 50)
        check_contrast(page)
        (fleet.cwd / "go-on").touch()
        expect(run).to_contain_text("succeeded")
        expect(run.locator(".result")).to_have_text(MARKUP)
        expect(run.get_by_text("Download")).to_be_hidden()
        expect(run.get_by_role("button")).to_have_count(0)

        (fleet.cwd / "fail").touch()
        run = send(page, "heartbeat.beat")
        expect(run.locator(".error")).to_have_text(f"RuntimeError: {MARKUP}")
        expect(run).to_contain_text("failed")
        check_contrast(page)
        assert page.title() == title


@each([*FRAMEWORKS, DJANGO])
def test_a_report_is_downloaded_and_a_mistake_is_explained(answers: Answers, running: Running) -> None:
    with running(answers) as fleet, served(fleet) as (port, _), browser(port, "422") as page:
        fleet.start("cpu")
        artifacts = fleet.cwd / ".celery" / "artifacts"
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / "sold.csv").write_text("place,price\nhere,1.50\nthere,2\nhere,3\n")
        page.goto("/live")
        run = send(page, "reports.totals", source="sold.csv", group_by="place", amount="price")
        expect(run).to_contain_text("succeeded")
        with page.expect_download() as started:
            run.get_by_role("link", name="Download").click()
        assert re.fullmatch(r"[-0-9a-f]{36}\.csv", started.value.suggested_filename)
        assert started.value.path().read_text() == "place,price\nhere,4.50\nthere,2\n"

        form = page.locator("#tasks form").filter(has=page.get_by_role("heading", name="reports.totals"))
        form.get_by_label("source").fill("../secret")
        form.get_by_role("button", name="Send").click()
        expect(form.get_by_role("alert")).to_contain_text("arguments.source: String should match pattern")
        expect(page.locator("#runs > li")).to_have_count(1)


@each_framework
def test_the_page_goes_on_after_its_server_was_away(answers: Answers, running: Running) -> None:
    with running(answers) as fleet, served(fleet) as (port, variables), browser(port, "net::ERR_") as page:
        page.goto("/live")
        run = send(page, "heartbeat.beat")
        expect(run).to_contain_text("waits for a worker")
        fleet.stop("web")
        fleet.start("general")
        fleet.start("web", **variables)
        expect(run).to_contain_text("succeeded")


@each_framework
def test_more_tasks_are_followed_than_streams_are_open(answers: Answers, running: Running) -> None:
    with running(answers) as fleet, served(fleet, APP_WEB_STREAMS="1") as (port, _), browser(port, "503") as page:
        page.goto("/live")
        for _ in range(8):  # a browser opens only six connections to a server
            run = send(page, "heartbeat.beat")
            expect(run).to_contain_text("waits for a worker")
        run.get_by_role("button", name="Cancel").click()
        expect(run).to_contain_text("was cancelled")
        fleet.start("general")
        expect(page.locator("#runs > li[data-state=SUCCESS]")).to_have_count(7)
