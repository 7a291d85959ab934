"""Django projects on real servers: the README word by word, transactions, connections, schedules."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from conftest import Copied, Running
from servers import PATIENCE, Checkout, Fleet, PostgreSQL, Project, free_port, needed, settled, wait_until
from test_docs import block
from test_servers import TELLING
from variants import Answers

DJANGO: Answers = {"framework": "django", "database": "postgresql"}
IN_DATABASE: Answers = {**DJANGO, "beat": "database", "result_backend": "database"}

#: Seconds.
SLACK = 5


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


# The README


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


def test_the_readme_word_by_word(checkout: Checkout) -> None:
    needed("curl")
    project, port = checkout.project, free_port()
    readme = (project.folder / "README.md").read_text("utf-8").replace(":8000", f":{port}")
    tasks, django = (readme.partition(f"## {title}\n")[2] for title in ("Tasks over HTTP", "Django"))
    submit = block(tasks, "sh")
    look, read, cancel = block(tasks, "sh", 1).splitlines()
    queues, dead_letters = block(tasks, "sh", 2).splitlines()
    authorisation = submit.splitlines()[0]

    def ask(lines: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(checkout.run("bash", "-c", f"{authorisation}\n{lines}"))
        return answer

    def about(job: dict[str, Any]) -> dict[str, Any]:
        return ask(look.replace("ID", job["id"]))

    checkout.variables["WEB_PORT"] = str(port)
    checkout.start("make", "dev")
    checkout.wait(lambda: "ready: " in checkout.log(), "everything is ready")
    checkout.run("make", "demo")

    # A request is accepted, its progress is seen, its result is read.
    job, seen = ask(submit), list[dict[str, Any]]()

    def succeeded() -> bool:
        seen.append(about(job))
        return bool(seen[-1]["state"] == "SUCCESS")

    checkout.wait(succeeded, "it succeeds")
    percents = [told["progress"]["percent"] for told in seen if told["state"] == "PROGRESS"]
    assert percents == sorted(percents)
    assert any(0 < percent < 100 for percent in percents), seen
    pointer = ask(read.replace("ID", job["id"]))["result"]
    assert (project.folder / ".celery" / "artifacts" / pointer).is_file()

    # One that runs is cancelled, and ends.
    job = ask(submit)
    checkout.wait(lambda: about(job)["state"] == "PROGRESS", "it runs")
    assert ask(cancel.replace("ID", job["id"]))["id"] == job["id"]
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
    assert json.loads(health) == {"status": "ok"}
    checkout.stop()


def test_the_tests_of_a_project_pass_on_a_postgresql(copied: Copied, database: str, tmp_path: Path) -> None:
    checkout = Checkout(Project(copied(IN_DATABASE, tmp_path)), tmp_path / "bin")
    output = checkout.run("make", "test", TEST_DATABASE_URL=database)
    assert re.search(r"= \d+ passed, \d+ deselected in", output)
    assert "Required test coverage" in output


# Transactions


PAY = """
from django.db import transaction
from {package}.shop.models import Account, Payment
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
        code = f"from {fleet.project.package}.shop.models import Account\nprint(Account.objects.get().balance)"
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
        # A query holds up no other one: they ran side by side.
        starts = {entry["id"]: entry["time"] for entry in fleet.seen(event="start", task="queries.query")}
        spans = [(starts[entry["id"]], entry["time"]) for entry in queries]
        assert max(sum(start <= moment < end for start, end in spans) for moment, _ in spans) == concurrency
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


def test_the_admin_shows_and_edits_schedules_in_a_browser(running: Running, database: str) -> None:
    who = {"DJANGO_SUPERUSER_USERNAME": "ada", "DJANGO_SUPERUSER_PASSWORD": "x9-long-enough"}
    port = free_port()
    with (
        running(IN_DATABASE, DATABASE_URL=database, WEB_PORT=str(port), **who) as fleet,
        sync_playwright() as playwright,
    ):
        manage(fleet, "migrate")
        manage(fleet, "setup_schedules")
        manage(fleet, "createsuperuser", "--noinput", "--email", "ada@example.com")
        shell(
            fleet,
            "from django_celery_beat.models import IntervalSchedule\n"
            "print(IntervalSchedule.objects.create(every=2, period='seconds').pk)",
        )
        fleet.start("web", "beat")
        browser = playwright.chromium.launch(executable_path=needed("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/admin/")
        page.fill("#id_username", who["DJANGO_SUPERUSER_USERNAME"])
        page.fill("#id_password", who["DJANGO_SUPERUSER_PASSWORD"])
        page.click("input[type=submit]")
        page.click("#content a:text-is('Periodic tasks')")
        page.click("#result_list th a:has-text('heartbeat')")
        page.select_option("#id_interval", label="every 2 seconds")
        page.click("input[name=_save]")
        assert "was changed successfully" in page.inner_text(".messagelist")
        browser.close()
        due = "Sending due task heartbeat "
        before = fleet.log("beat").count(due)
        fleet.wait(lambda: fleet.log("beat").count(due) >= before + 3, "beat has seen the edit")


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
