# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "cookiecutter>=2.7.1,<3", "httpx>=0.28,<1", "playwright>=1.50,<2", "pyte>=0.8,<1", "rich>=14,<16"
# ]
# ///
"""Make the pictures in docs/ from real runs of projects: `uv run docs/pictures.py`, or `... demo` for one.

Each project is generated in a temporary folder and run by `make dev`. Chromium must be installed.
"""

from __future__ import annotations

import os
import pty
import re
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from itertools import groupby
from pathlib import Path
from shutil import which
from termios import TIOCSWINSZ
from threading import Thread

import httpx
import pyte
from cookiecutter.main import cookiecutter
from playwright.sync_api import Page, ViewportSize, sync_playwright
from pyte.screens import Char
from rich.console import Console
from rich.text import Text

TEMPLATE = Path(__file__).resolve().parent.parent
DOCS = TEMPLATE / "docs"

#: Of the terminal, in characters, and of the window of the browser, in pixels.
COLUMNS, LINES = 88, 24
SIZE: ViewportSize = {"width": 1400, "height": 800}

#: What a page shows of a report.
HALF_DONE = re.compile(r"[3-9]\d(\.\d)? % adding up")

#: The token of a developer's machine.
TOKEN = "insecure-and-only-for-a-developers-machine"  # noqa: S105


class Terminal:
    """A command in a terminal of its own.

    Args:
        command: The command.
        cwd: The folder in which it runs.
        variables: Variables besides those of this process.
    """

    def __init__(self, command: list[str], cwd: Path, **variables: str) -> None:
        self.command = command
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm-256color", **variables})  # noqa: S606
        ioctl(self.file, TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.frames: list[Text] = []
        self.reader = Thread(target=self.read)
        self.reader.start()

    def read(self) -> None:
        """Keep the screen after each write of the command."""
        screen = pyte.Screen(COLUMNS, LINES)
        stream = pyte.ByteStream(screen)
        while True:
            try:
                data = os.read(self.file, 65536)
            except OSError:  # the command has ended
                break
            stream.feed(data)
            self.frames.append(colored(screen))

    def wait_for(self, text: str) -> Text:
        """Return the screen when it shows a text; end if the command ends before."""
        while not (found := [frame for frame in self.frames if text in frame.plain]):
            if not self.reader.is_alive():
                sys.exit(self.frames[-1].plain if self.frames else f"{self.command} wrote nothing")
            time.sleep(0.1)
        return found[0]

    def end(self) -> None:
        """Press Ctrl-C, and wait for the end."""
        os.write(self.file, b"\x03")
        self.reader.join()
        os.waitpid(self.pid, 0)


def colored(screen: pyte.Screen) -> Text:
    """Return the lines of a screen, with their styles."""
    text = Text()
    for number in range(LINES):
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        for style, run in groupby(cells, style_of):
            text.append("".join(cell.data for cell in run), style)
        text.append("\n")
    return text


def style_of(cell: Char) -> str:
    """Return a cell's style, as a name that rich knows."""
    color = f"#{cell.fg}" if re.fullmatch(r"[0-9a-f]{6}", cell.fg) else cell.fg.replace("brown", "yellow")
    return f"bold {color}" if cell.bold else color


def draw(command: str, frame: Text, name: str) -> None:
    """Draw a screen below the command that made it."""
    frame.rstrip()
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(Text(f"$ {command}\n", style="bold"), frame, sep="")
    picture = console.export_svg(title="my-celery-project", unique_id=name)
    # Without this, the font would be loaded from another server.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    (DOCS / f"{name}.svg").write_text(picture, "utf-8")


def demo(folder: Path) -> None:
    """Draw the start of `make dev`, and what `make demo` shows while its report is half done."""
    with running(folder) as (project, _, started):
        draw("make dev", started, "dev")
        demo = Terminal(["make", "demo"], project)
        demo.reader.join()
    frame = [frame for frame in demo.frames if "adding up" in frame.plain and "succeeded" in frame.plain][-1]
    draw("make demo", frame, "demo")


def api(folder: Path) -> None:
    """Take pictures of the documentation of an API, and of its live page while a report is made."""
    with running(folder, framework="fastapi") as (project, address, _), page() as browser:
        subprocess.run(["make", "demo"], cwd=project, check=True, stdout=subprocess.DEVNULL)
        browser.goto(f"{address}/docs")
        browser.get_by_text("Send a task", exact=True).wait_for()
        browser.screenshot(path=DOCS / "api.png")
        browser.goto(f"{address}/live")
        for task in ("heartbeat.beat", "reports.totals"):
            form = browser.locator("#tasks form").filter(has=browser.get_by_role("heading", name=task))
            form.get_by_role("button", name="Send").click()
        browser.get_by_text(HALF_DONE).first.wait_for()
        browser.screenshot(path=DOCS / "live.png")


def admin(folder: Path) -> None:
    """Take a picture of the jobs in Django's admin."""
    ada = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_PASSWORD": "only-for-this-picture"}
    with running(folder, framework="django") as (project, address, _), page() as browser:
        create = [".venv/bin/python", "manage.py", "createsuperuser", "--noinput", "--email=ada@example.com"]
        subprocess.run(create, cwd=project, env={**os.environ, **ada}, check=True)
        subprocess.run(["make", "demo"], cwd=project, check=True, stdout=subprocess.DEVNULL)
        browser.goto(f"{address}/admin/jobs/job/")
        browser.fill("#id_username", ada["DJANGO_SUPERUSER_USERNAME"])
        browser.fill("#id_password", ada["DJANGO_SUPERUSER_PASSWORD"])
        browser.click("input[type=submit]")
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            send(client, "reports.totals", source="demo/missing.csv", group_by="region", amount="amount")
            send(client, "heartbeat.beat")
            while browser.get_by_text(HALF_DONE).count() == 0:
                if browser.get_by_text("running").count() == 0:
                    send(client, "reports.totals", source="demo/sales.csv", group_by="region", amount="amount")
                browser.reload()
        browser.screenshot(path=DOCS / "admin.png")


def send(client: httpx.Client, task: str, **arguments: str) -> None:
    """Send a task over HTTP."""
    client.post("/tasks", json={"task": task, "arguments": arguments}).raise_for_status()


@contextmanager
def running(folder: Path, **answers: str) -> Iterator[tuple[Path, str, Text]]:
    """Generate a project, run it by `make dev`, and yield its folder, its address and the screen when it is ready."""
    project = Path(cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(folder), extra_context=answers))
    subprocess.run(["make", "install"], cwd=project, check=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    dev = Terminal(["make", "dev"], project, WEB_PORT=port)
    try:
        yield project, f"http://127.0.0.1:{port}", dev.wait_for("ready: ")
    finally:
        dev.end()


@contextmanager
def page() -> Iterator[Page]:
    """Yield a page of Chromium, which has to be installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=which("chromium"), args=["--no-sandbox"])
        yield browser.new_page(viewport=SIZE, device_scale_factor=1)
        browser.close()


def main() -> None:
    """Make the pictures that are named, by default all."""
    makers = {maker.__name__: maker for maker in (demo, api, admin)}
    for name in sys.argv[1:] or makers:
        with tempfile.TemporaryDirectory() as folder:
            makers[name](Path(folder))


if __name__ == "__main__":
    main()
