"""Django projects on real servers: the document word by word, transactions, connections, schedules."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from playwright.sync_api import Page, Response, sync_playwright

from conftest import Copied, Installed, Running
from servers import PATIENCE, Checkout, Fleet, PostgreSQL, Project, accepts, free_port, needed, settled, wait_until
from test_docs import block
from test_servers import TELLING
from variants import Answers

DJANGO: Answers = {"framework": "django", "database": "postgresql"}
IN_DATABASE: Answers = {**DJANGO, "beat": "database", "result_backend": "database"}

#: Seconds.
SLACK = 5

#: Of a browser's window, in pixels.
WIDTH = 1280


@pytest.fixture
def database(postgresql: PostgreSQL) -> str:
    """Return the URL of an empty database."""
    return postgresql.create(f"django_{time.monotonic_ns()}")


def manage(fleet: Fleet, *words: str) -> str:
    """Run a command of Django as another process of the owner would."""
    result = subprocess.run(
        [fleet.project.environment / "bin" / "python", fleet.project.folder / "manage.py", *words],
        cwd=fleet.cwd,
        env=fleet.variables,
        capture_output=True,
        encoding="utf-8",
        timeout=5 * PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def shell(fleet: Fleet, code: str) -> Any:
    """Run code in Django's shell, and return what it prints as JSON."""
    return json.loads(manage(fleet, "shell", "--no-imports", "-c", f"import json\n{code}").splitlines()[-1])


def connections(fleet: Fleet) -> dict[int, str]:
    """Return the connections of others to the database: process of the server, and state."""
    code = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT pid, state FROM pg_stat_activity WHERE datname = current_database()"
                   " AND pid != pg_backend_pid() AND backend_type = 'client backend'")
    print(json.dumps(cursor.fetchall()))
"""
    return dict(shell(fleet, code))


# The document


@pytest.fixture
def checkout(copied: Copied, tmp_path: Path) -> Iterator[Checkout]:
    """Yield a new project, in which `make` installs everything; end what was started in it."""
    needed("make")
    folder = copied(DJANGO, tmp_path)
    for pattern, old, new in TELLING:
        (path,) = folder.glob(pattern)
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")
    checkout = Checkout(Project(folder), tmp_path / "bin")
    yield checkout
    checkout.close()


def test_the_document_word_by_word(checkout: Checkout) -> None:
    needed("curl")
    project, port = checkout.project, free_port()
    document = (project.folder / "docs" / "web.md").read_text("utf-8").replace(":8000", f":{port}")
    tasks, django = (document.partition(f"## {title}\n")[2] for title in ("Tasks over HTTP", "Django"))
    submit = block(tasks, "sh")
    look, read, cancel = block(tasks, "sh", 1).splitlines()
    follow, download = block(tasks, "sh", 2).splitlines()
    queues, dead_letters = block(tasks, "sh", 3).splitlines()
    authorisation = submit.splitlines()[0]

    def ask(lines: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(checkout.run("bash", "-c", f"{authorisation}\n{lines}"))
        return answer

    def about(job: dict[str, Any]) -> dict[str, Any]:
        return ask(look.replace("ID", job["id"]))

    checkout.variables["WEB_PORT"] = str(port)
    checkout.start("make", "dev")
    checkout.wait(lambda: "ready: " in checkout.log(), "everything is ready")
    assert f"open http://127.0.0.1:{port}/live" in checkout.run("make", "demo")

    # A request is accepted, its progress is seen, its result is read.
    limit = project.folder / "limit"
    limit.write_text("0")
    job, seen = ask(submit), list[dict[str, Any]]()

    def succeeded() -> bool:
        seen.append(about(job))
        if seen[-1]["state"] == "PROGRESS" and seen[-1]["progress"]["percent"] > 0:
            limit.write_text("100")
        return bool(seen[-1]["state"] == "SUCCESS")

    checkout.wait(succeeded, "it succeeds")
    percents = [told["progress"]["percent"] for told in seen if told["state"] == "PROGRESS"]
    assert percents == sorted(percents)
    assert any(0 < percent < 100 for percent in percents), seen
    pointer = ask(read.replace("ID", job["id"]))["result"]
    report = project.folder / ".celery" / "artifacts" / pointer
    for command, expected in ((follow, "event: end"), (download, report.read_text())):
        assert expected in checkout.run("bash", "-c", f"{authorisation}\n{command.replace('ID', job['id'])}")

    # One that runs is cancelled, and ends.
    limit.write_text("0")
    job = ask(submit)
    checkout.wait(lambda: about(job)["state"] == "PROGRESS", "it runs")
    assert ask(cancel.replace("ID", job["id"]))["id"] == job["id"]
    limit.unlink()
    checkout.wait(lambda: about(job)["state"] == "REVOKED", "it is cancelled")
    assert ask(cancel.replace("ID", job["id"]))["ended"] is True

    # One that fails is a dead letter, which a command replays.
    job = ask(submit.replace("demo/sales.csv", "no/such.csv"))
    wait_until(lambda: about(job)["state"] == "FAILURE", "it fails", explain=checkout.log)
    assert "no/such.csv" in about(job)["failure"]["message"]
    assert {queue["name"] for queue in ask(queues)["queues"]} >= {"default", "cpu"}
    assert job["id"] in {letter["id"] for letter in ask(dead_letters)["letters"]}
    _, letters = block(django, "sh").splitlines()
    letters = letters.partition("#")[0].strip()
    wait_until(lambda: job["id"] in checkout.run("bash", "-c", letters), "it is a dead letter", explain=checkout.log)
    replayed = checkout.run("bash", "-c", letters.replace("list", f"replay {job['id']}"))
    assert f"{job['id']} was sent again as" in replayed
    again = replayed.split()[-1]
    wait_until(lambda: again in checkout.run("bash", "-c", letters), "it fails again", explain=checkout.log)

    # Somebody logs in to the admin.
    create = block(django, "sh").splitlines()[0].partition("#")[0].strip()
    identity = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_EMAIL": "a@example.com"}
    checkout.run("bash", "-c", f"{create} --noinput", **identity, DJANGO_SUPERUSER_PASSWORD="x9-long-enough")  # noqa: S106
    page = checkout.run("curl", "-sL", f"http://127.0.0.1:{port}/admin/")
    assert "csrfmiddlewaretoken" in page
    (style,) = re.findall(r'href="(/static/admin/css/base\.css)"', page)
    assert "--primary" in checkout.run("curl", "-s", f"http://127.0.0.1:{port}{style}")
    health = checkout.run("curl", "-s", f"http://127.0.0.1:{port}/health/ready")
    assert json.loads(health)["status"] == "ok"
    checkout.stop()


def test_the_tests_of_a_project_pass_on_a_postgresql(copied: Copied, database: str, tmp_path: Path) -> None:
    checkout = Checkout(Project(copied(IN_DATABASE, tmp_path)), tmp_path / "bin")
    output = checkout.run("make", "test", TEST_DATABASE_URL=database)
    assert re.search(r"= \d+ passed, \d+ deselected in", output)
    assert "Required test coverage" in output


def variables(folder: Path, environment: Path) -> dict[str, str]:
    """Return variables that name no server, for the processes of a project in a folder."""
    return {"PATH": f"{environment / 'bin'}:{os.defpath}", "PYTHONPATH": str(folder / "src"), "HOME": str(folder)}


def in_project(folder: Path, environment: Path, *words: str) -> str:
    """Run a command in a folder with a project, without any variable or server."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=variables(folder, environment),
        capture_output=True,
        encoding="utf-8",
        timeout=5 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_app_with_tasks_is_added_as_the_document_says(copied: Copied, installed: Installed, tmp_path: Path) -> None:
    environment, folder = installed(DJANGO).environment, copied(DJANGO, tmp_path)
    package = Project(folder).package
    part = (folder / "docs" / "web.md").read_text("utf-8").partition("**Add an app with tasks.**")[2]
    create, use = (block(part, "sh", number).replace(".venv/bin/", "") for number in (0, 1))
    in_project(folder, environment, "bash", "-ec", create)
    app, settings = folder / "src" / package / "library", folder / "src" / package / "site" / "settings.py"
    (name, listed) = re.findall(r"`(name = .+?|f\".+?\")`", part)[:2]
    config = (app / "apps.py").read_text("utf-8")
    (app / "apps.py").write_text(re.sub("name = .+", name, config), "utf-8")
    settings.write_text(
        settings.read_text("utf-8").replace("INSTALLED_APPS = [", f"INSTALLED_APPS = [\n{listed},"), "utf-8"
    )
    (app / "tasks.py").write_text(block(part, "python"), "utf-8")
    (app / "models.py").write_text(
        "from django.db import models\n\nclass Book(models.Model):\n    title = models.CharField(max_length=9)\n",
        "utf-8",
    )
    log = tmp_path / "dev.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [environment / "bin" / "celery", "-A", package, "dev", "general"],
            cwd=folder,
            env=variables(folder, environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(
                lambda: "ready: " in log.read_text("utf-8"), "it is ready", explain=lambda: log.read_text("utf-8")
            )
            told = in_project(folder, environment, "bash", "-ec", use)
            assert "Create model Book" in told
            ends = f"library.lend[{told.split()[-1]}] succeeded"
            wait_until(lambda: ends in log.read_text("utf-8"), "it has run", explain=lambda: log.read_text("utf-8"))
        finally:
            process.terminate()
    assert process.returncode == 0
    in_project(folder, environment, "python", "manage.py", "makemigrations", "--check")


def test_runserver_shows_pages_without_a_server_or_a_worker(installed: Installed, tmp_path: Path) -> None:
    project, port = installed(DJANGO), free_port()
    environment = {**project.variables(tmp_path), "PYTHONPATH": ""}
    manage_py = [str(project.environment / "bin" / "python"), str(project.folder / "manage.py")]
    subprocess.run([*manage_py, "migrate"], cwd=tmp_path, env=environment, check=True, capture_output=True)

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            return str(answer.read().decode())

    log = tmp_path / "runserver.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*manage_py, "runserver", str(port)],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(lambda: accepts(port), "it listens", explain=lambda: log.read_text("utf-8"))
            assert "is running" in get("/")
            assert "csrfmiddlewaretoken" in get("/admin/login/")
            assert "--primary" in get("/static/admin/css/base.css")
            assert json.loads(get("/health/live")) == {"status": "ok"}
            with pytest.raises(HTTPError) as refused:  # the server of `make dev` does not run
                get("/health/ready")
            assert "do not answer: broker" in json.load(refused.value)["detail"]
        finally:
            os.killpg(process.pid, signal.SIGTERM)
    told = log.read_text("utf-8")
    assert "unapplied" not in told
    assert "Traceback" not in told
    assert "Warning" not in told.replace("WARNING: This is a development server", "")


#: Print the routes of a Flask and of a Django project: path and method. Nothing is sent by PATCH, so its answer is
#: what a path allows.
ROUTES = {
    "flask": """
from {package}.web.app import create_app
for rule in create_app().url_map.iter_rules():
    print(*(f"{{rule.rule}} {{method}}" for method in rule.methods - {{"HEAD", "OPTIONS"}}), sep="\\n")
""",
    "django": """
import os, re, uuid
os.environ["DJANGO_SETTINGS_MODULE"] = "{package}.site.settings"
import django
django.setup()
from django.conf import settings
from django.test import Client
from {package}.site.urls import urlpatterns
for pattern in urlpatterns:
    route = str(pattern.pattern)
    if not re.match("(tasks|admin/.|health)", route):
        continue
    path = "/" + re.sub("<.+?>", str(uuid.uuid4()), route)
    token = f"Bearer {{settings.API_TOKEN}}"
    allowed = Client(headers={{"Authorization": token, "Host": "localhost"}}).patch(path).headers.get("Allow", "")
    print(*(f"/{{route}} {{method}}" for method in allowed.split(", ")), sep="\\n")
""",
}


def test_django_offers_the_routes_of_flask(installed: Installed, tmp_path: Path) -> None:
    found: dict[str, set[str]] = {}
    for framework, code in ROUTES.items():
        project = installed({**DJANGO, "framework": framework} if framework == "django" else {"framework": framework})
        done = subprocess.run(
            [project.environment / "bin" / "python", "-c", code.format(package=project.package)],
            cwd=tmp_path,
            env=project.variables(tmp_path),
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = {re.sub("<.+?>", "ID", line) for line in done.stdout.splitlines()}
        found[framework] = {line for line in lines if re.match("/(tasks|admin|health)", line)}
    assert len(found["flask"]) > 15
    assert found["flask"] - found["django"] == set()


# Transactions


PAY = """
from django.db import transaction
from {package}.payments.models import Account, Payment
account, _ = Account.objects.get_or_create(email="ada@example.com", defaults=dict(balance=1000))
with transaction.atomic():
    payment = Payment.objects.create(account=account, amount=100)
    transaction.set_rollback({rollback})
print(payment.pk)
"""


def test_what_is_rolled_back_never_runs(running: Running, database: str) -> None:
    with running({**DJANGO, "examples": "all"}, DATABASE_URL=database) as fleet:
        manage(fleet, "migrate")
        fleet.start("general", "io")

        def pay(rollback: bool) -> int:
            payment: int = shell(fleet, PAY.format(package=fleet.project.package, rollback=rollback))
            return payment

        undone = [pay(rollback=True) for _ in range(3)]
        done = [pay(rollback=False) for _ in range(3)]
        fleet.wait(lambda: len(fleet.seen(event="end", task="payments.settle")) >= len(done), "all are settled")
        fleet.wait(lambda: fleet.seen(event="end", task="notifications.send_mail"), "mail is sent")
        time.sleep(SLACK)
        assert {entry["args"][0] for entry in fleet.seen(event="start", task="payments.settle")} == set(done)
        assert not set(undone) & set(done)
        code = f"from {fleet.project.package}.payments.models import Account\nprint(Account.objects.get().balance)"
        assert shell(fleet, code) == 700


# Connections


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_no_connection_is_shared_or_left_open(pool: str, running: Running, database: str) -> None:
    concurrency, tasks = 8, 60
    variables = {
        "DATABASE_URL": database,
        "CELERY_WORKER_INCLUDE": "probe,queries",
        "CELERY_WORKER_MAX_TASKS_PER_CHILD": "5",  # so that processes are forked later, too
        "GENERAL_CONCURRENCY": str(concurrency),
    }
    with running({**DJANGO, "pool": pool}, **variables) as fleet:
        fleet.start("general")
        fleet.wait(lambda: fleet.seen(event="main"), "the main process has a connection")
        (main,) = fleet.seen(event="main")
        fleet.ends(*fleet.ask("send_many", tasks, "queries.query", [0.3], {}, {}))
        queries = fleet.seen(event="query")
        assert len(queries) == tasks
        # Each task had a connection of its own, and none that of the main process.
        backends = {entry["backend"] for entry in queries}
        assert len(backends) == tasks
        assert main["backend"] not in backends
        if pool == "prefork":
            assert len({entry["pid"] for entry in queries}) > concurrency, "no process was replaced"
        # A query holds up no other one: they ran side by side; all of them do on a machine that is not busy.
        starts = {entry["id"]: entry["time"] for entry in fleet.seen(event="start", task="queries.query")}
        spans = [(starts[entry["id"]], entry["time"]) for entry in queries]
        most = max(sum(start <= moment < end for start, end in spans) for moment, _ in spans)
        assert concurrency / 2 <= most <= concurrency
        # Only the connection of the main process is left, and it works.
        fleet.wait(lambda: list(connections(fleet)) == [main["backend"]], f"all are closed: {connections(fleet)}")


# Schedules and results as rows


def test_a_running_beat_sees_an_edited_schedule(running: Running, postgresql: PostgreSQL, database: str) -> None:
    with running(IN_DATABASE, DATABASE_URL=database) as fleet:
        manage(fleet, "migrate")
        assert "heartbeat: added" in manage(fleet, "setup_schedules")
        fleet.start("general", "beat")

        def sent() -> int:
            return fleet.log("beat").count("Sending due task heartbeat ")

        edit = """
from django_celery_beat.models import IntervalSchedule, PeriodicTask
row = PeriodicTask.objects.get(name="heartbeat")
row.interval, _ = IntervalSchedule.objects.get_or_create(every={every}, period="seconds")
row.enabled = {enabled}
row.save()
print(row.pk)
"""
        before = sent()
        shell(fleet, edit.format(every=2, enabled=True))
        fleet.wait(lambda: sent() >= before + 3, "it is sent every 2 seconds")
        assert "heartbeat: kept, because it was edited" in manage(fleet, "setup_schedules")
        shell(fleet, edit.format(every=2, enabled=False))
        settled(sent, 2 * SLACK)  # a disabled row is sent no more
        # Beat and workers go on after an outage of the database.
        with postgresql.away(database):
            time.sleep(SLACK)
        shell(fleet, edit.format(every=2, enabled=True))
        fleet.wait(lambda: sent() >= before + 2, "it is sent again")
        fleet.wait(lambda: len(fleet.seen(event="end", task="heartbeat.beat", state="SUCCESS")) >= 4, "it runs")


# Pages in a real browser


class Pages:
    """A browser in which somebody is logged in to the admin; no page may have an error.

    Args:
        page: A tab of it.
        address: Where the site is.
        pictures: A folder for pictures of the pages.
    """

    def __init__(self, page: Page, address: str, pictures: Path) -> None:
        self.page, self.address, self.pictures = page, address, pictures
        self.errors: list[str] = []
        self.seen: set[str] = set()
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("response", self.check)
        page.on("load", self.look)

    def check(self, response: Response) -> None:
        """Note an answer that is an error; browsers ask for an icon that nobody has promised."""
        if response.status >= 400 and not response.url.endswith("/favicon.ico"):
            self.errors.append(f"{response.status} {response.url}")

    def look(self, _: object = None) -> None:
        """Note the title of a page."""
        self.seen.add(self.page.title())

    def open(self, path: str) -> None:
        """Open a page."""
        self.page.goto(self.address + path)
        self.picture()

    def click(self, selector: str) -> None:
        """Click on something that leads to another page."""
        with self.page.expect_navigation():
            self.page.click(selector)
        self.picture()

    def picture(self) -> None:
        """Take a picture, and fail if the page has an error, or is wider than a window of a laptop."""
        self.page.screenshot(path=self.pictures / f"{len(list(self.pictures.iterdir())):02}.png", full_page=True)
        assert self.errors == [], self.page.url
        beside = self.page.locator("#changelist-filter")
        if beside.count():  # the template of a list is laid out by the installed version of Django
            box = beside.bounding_box()
            assert box, self.page.url
            assert box["x"] > WIDTH * 3 / 5, self.page.url
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= WIDTH, f"{self.page.url} is {width} pixels wide"

    def text(self, selector: str = "#content") -> str:
        """Return the text of a part of the page."""
        return self.page.inner_text(selector)

    def said(self) -> str:
        """Return what the page tells the user about the last action."""
        return self.page.inner_text(".messagelist")

    def act(self, action: str, *rows: str) -> None:
        """Do something to rows of a list, each given by a text in it, or to all rows of the page."""
        for row in rows:
            self.page.check(f"#result_list tr:has-text('{row}') input.action-select")
        if not rows:
            self.page.check("#action-toggle")
        total = self.page.locator("#result_list input.action-select").count()
        assert self.text(".action-counter") == f"{len(rows) or total} of {total} selected"
        self.page.select_option("select[name=action]", label=action)
        self.click("button[name=index]")


@pytest.fixture
def pages(running: Running, database: str, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs a site, and yields its fleet and a browser in which somebody is logged in."""
    who = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_PASSWORD": "x9-long-enough"}

    @contextmanager
    def run_site(answers: Answers, **variables: str) -> Iterator[tuple[Fleet, Pages]]:
        binary, port, pictures = needed("chromium"), free_port(), tmp_path / "pictures"
        pictures.mkdir()
        with (
            running(answers, DATABASE_URL=database, WEB_PORT=str(port), **who, **variables) as fleet,
            sync_playwright() as playwright,
        ):
            manage(fleet, "migrate")
            manage(fleet, "createsuperuser", "--noinput", "--email", "ada@example.com")
            fleet.start("web")
            browser = playwright.chromium.launch(executable_path=binary, args=["--no-sandbox"])
            tab = Pages(
                browser.new_page(viewport={"width": WIDTH, "height": 800}), f"http://127.0.0.1:{port}", pictures
            )
            tab.open("/admin/")
            tab.page.fill("#id_username", who["DJANGO_SUPERUSER_USERNAME"])
            tab.page.fill("#id_password", who["DJANGO_SUPERUSER_PASSWORD"])
            tab.click("input[type=submit]")
            yield fleet, tab
            browser.close()

    return run_site


SUBMIT = """
from {package}.celery import app
from {package}.runtime.django.models import Job
app.loader.import_default_modules()
print(json.dumps(str(Job.objects.submit({name!r}, app.tasks[{task!r}], {arguments!r}).pk)))
"""


def submit(fleet: Fleet, name: str, task: str, **arguments: Any) -> str:
    """Send a task as a job, and return its id."""
    code = SUBMIT.format(package=fleet.project.package, name=name, task=task, arguments=arguments)
    return str(shell(fleet, code))


def test_jobs_and_dead_letters_in_a_browser(pages: Callable[..., Any]) -> None:
    with pages(DJANGO) as (fleet, tab):
        tab.open("/")
        assert "is running" in tab.text()
        assert "reports.totals" in tab.text()
        tab.click("#content a:text-is('The admin')")
        tab.click("#content a:text-is('Dead letters')")
        assert "No task has failed for good." in tab.text()

        # A job that waits is cancelled on its page, and the other one by an action in the list.
        first, second = (submit(fleet, name, "heartbeat.beat") for name in ("first", "second"))
        tab.open("/admin/jobs/job/")
        tab.click("#result_list a:text-is('first')")
        assert "waiting" in tab.text(".field-state")
        tab.click("input[name=_cancel]")
        assert tab.said() == f"Job first {first} was cancelled."
        assert "cancelled" in tab.text(".field-state")
        tab.open("/admin/jobs/job/")
        tab.act("Cancel selected jobs", "first", "second")
        assert f"Job second {second} was cancelled." in tab.said()

        # One runs again, and a running one shows how far it is.
        fleet.start("general", "cpu")
        tab.act("Run selected jobs again", "first")
        assert "it was sent again as" in tab.said()
        rows = "".join(f"north,{number}.50\n" for number in range(400_000))
        source = fleet.cwd / ".celery" / "artifacts" / "sales.csv"
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text(f"region,amount\n{rows}", "utf-8")
        totals = {"group_by": "region", "amount": "amount"}
        good = submit(fleet, "good", "reports.totals", source="sales.csv", **totals)
        bad = submit(fleet, "bad", "reports.totals", source="<b>no</b>.csv", **totals)

        def found(job: str, *words: str) -> Callable[[], bool]:
            def look() -> bool:
                tab.page.goto(f"{tab.address}/admin/jobs/job/{job}/change/")
                return any(word in tab.text(".field-state") for word in words)

            return look

        fleet.wait(found(good, "adding up", "succeeded"), "it shows its progress")
        fleet.wait(found(good, "succeeded"), "it succeeds")
        assert f"reports/{good}.csv" in tab.text(".field-outcome")
        assert re.search(r"\d (ms|s)", tab.text(".field-duration"))
        fleet.wait(found(bad, "failed"), "it fails")
        assert "no artifact '<b>no</b>.csv'" in tab.text(".field-outcome")
        tab.open("/admin/jobs/job/?q=good")
        assert "1 job" in tab.text(".paginator")

        # The dead letter of the failed one is replayed, fails again, and is discarded.
        tab.open(f"/admin/jobs/job/{bad}/change/")
        tab.click("a:text-is('Dead letter')")
        assert "in totals" in tab.text()
        tab.click("input[name=_replay]")
        assert f"Dead letter {bad}: its task was sent again as" in tab.said()
        again = tab.page.get_attribute("#content a[title]", "href")
        fleet.wait(lambda: shell(fleet, LETTERS.format(package=fleet.project.package)) == 2, "it fails again")
        tab.open("/admin/jobs/deadletter/?task=totals")
        assert "2 dead letters on this page" in tab.text()
        tab.click("#changelist-filter details:has-text('replayed') a:text-is('No')")
        assert "1 dead letter on this page" in tab.text()
        tab.click("#result_list a:text-is('reports.totals')")
        assert tab.page.url.endswith(str(again))
        tab.click("#content a:text-is('Close')")
        tab.click("#changelist-filter details:has-text('reason') a:text-is('Failed')")
        tab.act("Discard selected dead letters")
        assert "These 2 dead letters will be gone" in tab.text()
        tab.click("input[name=confirmed]")
        assert tab.said().count("was discarded.") == 2

        # The log of both says who did what.
        tab.open("/admin/")
        assert "Replayed as" not in tab.text("#content-main")
        assert bad in tab.text("#recent-actions-module")
        tab.click("#content .model-mailing a:text-is('Add')")
        tab.page.fill("#id_subject", "Hello")
        tab.page.fill("#id_text", "A text")
        tab.page.fill("#id_recipients-0-address", "reader@example.com")
        tab.click("input[name=_save]")
        tab.act("Send to recipients who have not received it yet", "Hello")
        assert "Mailings that are being sent: 1" in tab.said()
        assert len(tab.seen) >= 10


LETTERS = """
from {package}.celery import app
from {package}.runtime.letters.store import opened
with opened(app) as letters:
    print(len(list(letters)))
"""


def test_schedules_and_results_in_a_browser(pages: Callable[..., Any]) -> None:
    with pages(IN_DATABASE) as (fleet, tab):
        manage(fleet, "setup_schedules")
        shell(
            fleet,
            "from django_celery_beat.models import IntervalSchedule\n"
            "print(IntervalSchedule.objects.create(every=2, period='seconds').pk)",
        )
        fleet.start("beat")
        tab.click("#content a:text-is('Periodic tasks')")
        tab.click("#result_list th a:has-text('heartbeat')")
        tab.page.select_option("#id_interval", label="every 2 seconds")
        tab.click("input[name=_save]")
        assert "was changed successfully" in tab.said()
        due = "Sending due task heartbeat "
        before = fleet.log("beat").count(due)
        fleet.wait(lambda: fleet.log("beat").count(due) >= before + 3, "beat has seen the edit")
        job = submit(fleet, "mine", "heartbeat.beat")
        fleet.start("general")
        fleet.wait(lambda: fleet.seen(event="end", id=job), "it runs")
        tab.open("/admin/jobs/job/")
        fleet.wait(lambda: tab.page.reload() and "succeeded" in tab.text("#result_list"), "it is shown")
        tab.open("/admin/django_celery_results/taskresult/")
        assert job in tab.text("#result_list")
        tab.click(f"#result_list a:text-is('{job}')")
        assert tab.text(".field-status .readonly") == "SUCCESS"


# Results and a database that is away


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_result_waits_for_a_database_that_is_away(
    pool: str, running: Running, postgresql: PostgreSQL, database: str
) -> None:
    with running({**IN_DATABASE, "pool": pool}, DATABASE_URL=database) as fleet:
        manage(fleet, "migrate")
        fleet.start("general")
        task_id = fleet.send("probe.sleep", SLACK, options={"ignore_result": False})
        fleet.wait(lambda: fleet.seen(event="start", id=task_id), "it starts")
        with postgresql.away(database):
            time.sleep(2 * SLACK)
        fleet.ends(task_id)
        code = "from django_celery_results.models import TaskResult\nprint(json.dumps(TaskResult.objects.get().status))"
        assert shell(fleet, code) == "SUCCESS"
