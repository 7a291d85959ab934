"""The workflows of generated projects, on the fleet of the Procfile and a real Redis, with faults."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from conftest import Copied, Running
from servers import Fleet
from support import UV, run
from test_servers import SHORT_LEASE, WORKERS
from variants import Answers, each, options

#: Only the gallery of examples has workflows.
GALLERY: Answers = {"examples": "all"}

ROWS = 1000
#: Every hundredth row lacks its quantity; the first row is line 2.
BAD_LINES = range(2, ROWS + 2, 100)
FILE = "sku,quantity,price\r\n" + "".join(f"sku-{n},{'' if n in BAD_LINES else n},1.50\r\n" for n in range(2, ROWS + 2))
ROWS_PER_PIECE = 100

#: A file that each step of an import writes, and how many of them fail.
FAULTS = {
    "download": ("work/{}/source.csv", 1),
    "split": ("work/{}/pieces/000003.csv", 1),
    "validate": ("work/{}/rows/000002.csv", 1),
    "validate three": ("work/{}/rows/00000[357].csv", 3),
    "save": ("imports/{}/rejected.csv", 1),
}


class World:
    """A fleet, its artifacts, and a server with a file to import."""

    def __init__(self, fleet: Fleet, server: HTTPServer) -> None:
        self.fleet = fleet
        self.artifacts = fleet.cwd / "artifacts"
        server.expect_request("/orders.csv").respond_with_data(FILE)
        self.url = server.url_for("/orders.csv")

    def fail(self, files: str, error: str, times: int) -> None:
        """Let files that match a pattern fail so many times."""
        folder = self.fleet.cwd / "faults"
        name = f"{len(list(folder.glob('*.json')))}.json"
        (folder / f"{name}.part").write_text(json.dumps([files, error, times]), "utf-8")
        (folder / f"{name}.part").rename(folder / name)

    def start_import(self, import_id: str, rows_per_piece: int = ROWS_PER_PIECE) -> str:
        """Start an import and return the id of its last task."""
        return str(self.fleet.ask("start", "imports.import_file", self.url, import_id, rows_per_piece))

    def has_succeeded(self, task_id: str) -> bool:
        """Whether an import has its result."""
        return bool(self.fleet.ask("look", task_id)[0] == "SUCCESS")

    def abandoned(self, import_id: str) -> int:
        """Return how often the error callback of an import has run."""
        return len(self.fleet.seen(event="end", task="imports.abandon", args=[import_id], state="SUCCESS"))

    def files(self, *names: str) -> set[str]:
        """Return the artifacts of imports."""
        # Of these alone: others may be deleted meanwhile.
        found = (path for name in names for path in self.artifacts.glob(f"*/{name}/**/*") if path.is_file())
        return {path.relative_to(self.artifacts).as_posix() for path in found}

    def is_complete(self, import_id: str, task_id: str) -> None:
        """Check an import that has succeeded: its result, its two files, and nothing else."""
        state, summary = self.fleet.ask("look", task_id)
        rows, rejected = (f"imports/{import_id}/{name}.csv" for name in ("rows", "rejected"))
        assert state == "SUCCESS"
        counts = {"rows": ROWS - len(BAD_LINES), "rejected": len(BAD_LINES)}
        assert summary == {**counts, "saved_to": rows, "rejected_to": rejected}
        assert self.files(import_id) == {rows, rejected, f"imports/{import_id}/summary.json"}
        lines = FILE.splitlines()
        good = [line for number, line in enumerate(lines, start=1) if number not in BAD_LINES]
        assert (self.artifacts / rows).read_text("utf-8").splitlines() == good
        listed = (self.artifacts / rejected).read_text("utf-8").splitlines()[1:]
        assert [int(line.partition(",")[0]) for line in listed] == list(BAD_LINES)
        assert self.abandoned(import_id) == 0


def variables(cwd: Path) -> dict[str, str]:
    """Return the variables of a fleet with faults."""
    (cwd / "faults").mkdir()
    return {
        "APP_ARTIFACTS_URL": (cwd / "artifacts").as_uri(),
        "CELERY_WORKER_INCLUDE": "probe,faults",
        "FAULTS": str(cwd / "faults"),
        "FAULT_PACKAGE": "my_celery_project",
    }


@each([{**answers, **GALLERY} for answers in WORKERS])
def test_workflows_on_the_fleet(
    answers: Answers, running: Running, httpserver: HTTPServer, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    with running(answers, **variables(tmp_path)) as fleet:
        fleet.start(*fleet.project.workers)
        world = World(fleet, httpserver)
        for behaviour in BEHAVIOURS:
            with subtests.test(behaviour.__name__):
                behaviour(world)


def a_thousand_rows_are_imported_by_the_workers_of_the_table(world: World) -> None:
    fleet, queues = world.fleet, world.fleet.ask("destinations")
    task_id = world.start_import("whole")
    fleet.wait(partial(world.has_succeeded, task_id), "the import succeeds")
    world.is_complete("whole", task_id)
    steps = [entry for entry in fleet.seen(event="start") if entry["task"].startswith("imports.")]
    names = [entry["task"].partition(".")[2] for entry in steps]
    assert names == ["download", "split", *["validate"] * (ROWS // ROWS_PER_PIECE), "save", "clean_up"]
    for entry in steps:
        assert entry["queue"] == queues[entry["task"]], entry
        assert entry["queue"] in fleet.project.workers[entry["worker"]], entry


def an_import_of_the_same_name_gives_the_same_result(world: World) -> None:
    before = world.fleet.seen(event="end", task="imports.split")
    task_id = world.start_import("whole")
    world.fleet.wait(lambda: len(world.fleet.seen(event="end", task="imports.split")) > len(before), "it ends")
    world.is_complete("whole", task_id)


def an_import_ends_right_when_a_step_fails_for_a_moment(world: World) -> None:
    started = {}
    for step, (files, times) in FAULTS.items():
        name = step.replace(" ", "-")
        world.fail(files.format(name), "TransientError", times)
        started[name] = world.start_import(name)
    for name, task_id in started.items():
        world.fleet.wait(partial(world.has_succeeded, task_id), f"{name} succeeds")
        world.is_complete(name, task_id)


def a_step_that_fails_for_good_is_told_once_and_nothing_is_left(world: World) -> None:
    started = {}
    for step, (files, times) in FAULTS.items():
        name = f"no-{step.replace(' ', '-')}"
        world.fail(files.format(name), "PermanentError", times)
        started[name] = world.start_import(name)
    for name in started:
        world.fleet.wait(partial(world.abandoned, name), f"the error callback of {name} runs")
    time.sleep(3)  # a second one would have run by then
    assert {name: world.abandoned(name) for name in started} == dict.fromkeys(started, 1)
    assert world.files(*started) == set()
    for name, task_id in started.items():
        world.fleet.wait(lambda: world.fleet.ask("look", task_id)[0] == "FAILURE", f"{name} is a failure")  # noqa: B023


def a_report_is_mailed_and_its_failure_told_once(world: World) -> None:
    fleet, outbox = world.fleet, world.fleet.cwd / ".celery" / "outbox"
    (world.artifacts / "sales.csv").write_text("region,amount\nwest,1\nwest,2\n", "utf-8")
    for source in ("sales.csv", "missing.csv"):
        arguments = (source, "region", "amount", ["ann@example.com", "bob@example.com"], "owner@example.com")
        fleet.ask("start", "reports.mail_report", *arguments)
    told = partial(fleet.seen, event="end", task="report_mails.tell_failure", queue="io")
    fleet.wait(told, "the failure is told")
    fleet.wait(lambda: outbox.exists() and len(list(outbox.iterdir())) >= 3, "three mails are written")
    time.sleep(1)  # a fourth one would have been written by then
    mails = [file.read_text("utf-8") for file in outbox.iterdir()]
    assert len(mails) == 3
    assert sum("The report failed" in mail and "To: owner@example.com" in mail for mail in mails) == 1
    assert len(told()) == 1


def batches_go_to_the_bulk_queue_and_survive_a_bad_item(world: World) -> None:
    fleet = world.fleet
    for number in range(5):
        (world.artifacts / f"{number}.txt").write_text(str(number), "utf-8")
    names = [f"{number}.txt" for number in range(6)]  # the last one is missing
    fleet.ask("start", "archive.seal", names, "manifest.json")
    fleet.wait((world.artifacts / "manifest.json").exists, "the manifest is written")
    manifest = json.loads((world.artifacts / "manifest.json").read_text("utf-8"))
    expected = {f"{number}.txt": hashlib.sha256(str(number).encode()).hexdigest() for number in range(5)}
    assert manifest == {**expected, "5.txt": None}
    fleet.ask("start", "archive.verify", {**expected, "1.txt": "wrong"})
    fleet.wait(partial(fleet.seen, event="end", task="archive.verify"), "the damaged file is told")
    fleet.ask("start", "archive.erase", names, 2)
    fleet.wait(lambda: not list(world.artifacts.glob("?.txt")), "the files are gone")
    batches = ("celery.map", "celery.starmap")
    fleet.wait(lambda: sum(len(fleet.seen(event="end", task=name)) for name in batches) == 5, "all batches end")
    for name in batches:
        assert {(entry["queue"], entry["state"]) for entry in fleet.seen(event="end", task=name)} == {
            ("bulk", "SUCCESS")
        }
    (alone,) = fleet.seen(event="end", task="archive.verify")
    assert (alone["args"][0], alone["state"]) == ("1.txt", "FAILURE")


#: In the order of the test.
BEHAVIOURS = (
    a_thousand_rows_are_imported_by_the_workers_of_the_table,
    an_import_of_the_same_name_gives_the_same_result,
    an_import_ends_right_when_a_step_fails_for_a_moment,
    a_step_that_fails_for_good_is_told_once_and_nothing_is_left,
    a_report_is_mailed_and_its_failure_told_once,
    batches_go_to_the_bulk_queue_and_survive_a_bad_item,
)


@each([{"broker": broker, **GALLERY} for broker in options()["broker"]])
def test_an_import_outlives_its_workers(
    answers: Answers, running: Running, httpserver: HTTPServer, tmp_path: Path
) -> None:
    with running(answers, **variables(tmp_path), **SHORT_LEASE[str(answers["broker"])]) as fleet:
        fleet.start(*fleet.project.workers)
        world = World(fleet, httpserver)
        task_id = world.start_import("killed", rows_per_piece=2)
        validated = partial(fleet.seen, event="end", task="imports.validate")
        for pieces in (50, 200):
            fleet.wait(lambda: len(validated()) >= pieces, "some pieces are validated")  # noqa: B023
            fleet.kill("cpu")
            fleet.start("cpu")
        assert len(validated()) < ROWS / 2, "the import was over too soon to prove anything"
        fleet.wait(partial(world.has_succeeded, task_id), "the import succeeds")
        world.is_complete("killed", task_id)


# What the tests of a project find


@pytest.mark.parametrize(
    ("file", "old", "new", "test"),
    [
        (
            "tasks/imports.py",
            'name="imports.validate", queue=QueueName.CPU, ignore_result=False',
            'name="imports.validate", queue=QueueName.CPU',
            "header",
        ),
        ("tasks/imports.py", "return fan_out(header, ", "return chord(header, ", "chord_is_made"),
        (
            "tasks/report_mails.py",
            'bind=True, name="report_mails.tell_f',
            'name="report_mails.tell_f',
            "error_callbacks",
        ),
    ],
    ids=["ignored result", "chord", "error callback"],
)
def test_a_broken_workflow_fails_a_test_of_the_project(
    file: str, old: str, new: str, test: str, copied: Copied, tmp_path: Path
) -> None:
    project = copied(GALLERY, tmp_path)
    (package,) = (project / "src").iterdir()
    source = (package / file).read_text("utf-8")
    assert source.count(old) == 1
    if new.startswith("return chord"):
        new = f"from celery import chord\n\n    {new}"
    (package / file).write_text(source.replace(old, new), "utf-8")
    tests = ("tests/unit/test_workflows.py",)
    with pytest.raises(AssertionError, match=rf"FAILED tests/unit/\S*{test}"):
        run([*UV, "run", "--python", sys.executable, "pytest", *tests], project)
