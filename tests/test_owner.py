"""What an owner does first takes few files and few lines, passes the project's own checks, and runs on a real fleet."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from conftest import NEWEST, Edit, Installed
from servers import PROBE, Fleet, Project, needed, redis_server
from support import UV, git, python_of, repository, run
from test_docs import block
from variants import TEMPLATE, Answers, load

PACKAGE = "my_celery_project"

#: The document that says how to add a task and its test.
TASKS = (TEMPLATE / "{{cookiecutter.project_slug}}" / "docs" / "tasks.md").read_text("utf-8")
TASK, TEST = (block(TASKS, "python", number).replace("{{ cookiecutter.package_name }}", PACKAGE) for number in (0, 1))

WORKFLOW = '''"""Which tasks follow which."""

from celery.canvas import Signature, chain

from .tasks import heartbeat, images


def resize_and_tell(source: str, target: str, width: int) -> Signature:
    """Resize a picture, then log that the fleet is alive."""
    return chain(images.resize.si(source, target, width), heartbeat.beat.si())
'''

PROCFILE = (
    f"invoices: celery -A {PACKAGE} worker --hostname invoices@%h --queues invoices"
    " --pool ${INVOICES_POOL:-prefork} --concurrency ${INVOICES_CONCURRENCY:-2}\n"
)

ROW = """    "resize": entry(
        "images.resize",
        schedule(timedelta(seconds=2)),
        timedelta(seconds=1),
        source="a.png",
        target="b.png",
        width=5,
    ),
"""

SERVICE = f"""  invoices:
    <<: *app
    command: >-
      celery -A {PACKAGE} worker --hostname invoices@%h --queues invoices
      --pool ${{INVOICES_POOL:-prefork}} --concurrency ${{INVOICES_CONCURRENCY:-2}}

"""


@dataclass(frozen=True)
class Change:
    """What an owner wants, and what it takes.

    Args:
        files: How many files it may touch, tests included.
        lines: How many lines it may add and delete.
        new: Texts of new files by their paths below the project.
        edits: Changes of files that are there.
        tests: What of the project's tests shows it.
    """

    files: int
    lines: int
    new: dict[str, str] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    tests: tuple[str, ...] = ()


SOURCE = f"src/{PACKAGE}"

#: In this order, one upon the other.
CHANGES = {
    "a task on another queue, with a library of its own": Change(
        files=3,
        lines=32,
        new={f"{SOURCE}/tasks/images.py": TASK, "tests/worker/test_images.py": TEST},
        edits=(("pyproject.toml", '  "pydantic>=', '  "pillow>=12,<13",\n  "pydantic>='),),
        tests=("tests/worker/test_images.py", "tests/unit/test_queues.py"),
    ),
    "another retry policy of one task": Change(
        files=1,
        lines=2,
        edits=((f"{SOURCE}/tasks/images.py", "queue=QueueName.CPU", "queue=QueueName.CPU, max_retries=3"),),
        tests=("tests/worker/test_images.py",),
    ),
    "a queue that a worker consumes besides its own": Change(
        files=3,
        lines=5,
        edits=(
            (f"{SOURCE}/queues.py", '    CPU = "cpu"\n', '    CPU = "cpu"\n    MAPS = "maps"\n'),
            ("Procfile", "--queues io ", "--queues io,maps "),
            ("compose.yaml", "--queues io ", "--queues io,maps "),
        ),
        tests=("tests/deploy", "tests/unit/test_queues.py"),
    ),
    "a queue with a worker of its own": Change(
        files=4,
        lines=10,
        edits=(
            (f"{SOURCE}/queues.py", '    CPU = "cpu"\n', '    CPU = "cpu"\n    INVOICES = "invoices"\n'),
            ("Procfile", "cpu: ", f"{PROCFILE}cpu: "),
            ("compose.yaml", "  cpu:\n", f"{SERVICE}  cpu:\n"),
            (".env.example", "# CPU_POOL", "# INVOICES_POOL=prefork\n# INVOICES_CONCURRENCY=2\n# CPU_POOL"),
        ),
        tests=("tests/deploy", "tests/unit/test_queues.py"),
    ),
    "a schedule": Change(
        files=1,
        lines=8,
        edits=((f"{SOURCE}/schedule.py", '    "heartbeat":', f'{ROW}    "heartbeat":'),),
        tests=("tests/unit/test_schedule.py",),
    ),
    "a setting": Change(
        files=2,
        lines=5,
        edits=(
            (f"{SOURCE}/settings.py", "import ProjectSettings", "import Count, ProjectSettings"),
            (f"{SOURCE}/settings.py", "    webhook_timeout", "    thumbnail_width: Count = 200\n    webhook_timeout"),
            (".env.example", "# APP_WEBHOOK", "# Width of small pictures.\n# APP_THUMBNAIL_WIDTH=200\n# APP_WEBHOOK"),
        ),
        tests=("tests/deploy",),
    ),
    "a workflow of two tasks": Change(files=1, lines=10, new={f"{SOURCE}/workflows.py": WORKFLOW}),
}

#: The edits of `site/` or `web/` that concern downloads, which the table below needs for both.
DOWNLOADS = (
    "    # Tasks whose result is a pointer to a file that clients may download.\n    artifacts=[reports.totals.name],\n"
)
ARTIFACTS = (("from ..artifacts import artifacts\n", ""), (", Priority, artifacts=artifacts)", ", Priority)"))

#: What still speaks of the examples when their files are gone.
LEFT_OVER: dict[str, tuple[Edit, ...]] = {
    "none": (),
    "fastapi": (
        (f"{SOURCE}/web/catalog.py", "from ..tasks import heartbeat, reports", "from ..tasks import heartbeat"),
        (f"{SOURCE}/web/catalog.py", "        reports.totals.name: Totals,\n", ""),
        (f"{SOURCE}/web/catalog.py", DOWNLOADS, ""),
        *((f"{SOURCE}/web/app.py", *edit) for edit in ARTIFACTS),
    ),
    "django": (
        (f"{SOURCE}/site/catalog.py", "from ..tasks import heartbeat, reports", "from ..tasks import heartbeat"),
        (f"{SOURCE}/site/catalog.py", "from ..mailings import tasks as mailings\n", ""),
        (f"{SOURCE}/site/catalog.py", "        reports.totals.name: Totals,\n", ""),
        (f"{SOURCE}/site/catalog.py", "        mailings.send.name: Mailing,\n", ""),
        (f"{SOURCE}/site/catalog.py", '    "totals": reports.totals.name,\n', ""),
        (f"{SOURCE}/site/catalog.py", DOWNLOADS, ""),
        *((f"{SOURCE}/site/urls.py", *edit) for edit in ARTIFACTS),
        (f"{SOURCE}/site/catalog.py", '    "mailing": mailings.send.name,\n', ""),
        (f"{SOURCE}/site/settings.py", '    f"{PACKAGE}.mailings",\n', ""),
    ),
}


def apply(change: Change, folder: Path) -> None:
    """Write the files of a change, and edit others."""
    for name, text in change.new.items():
        (folder / name).write_text(text, "utf-8")
    for name, old, new in change.edits:
        file = folder / name
        text = file.read_text("utf-8")
        assert text.count(old) == 1, f"{name} has {old!r} {text.count(old)} times"
        file.write_text(text.replace(old, new), "utf-8")


def took(folder: Path) -> tuple[int, int]:
    """Return how many files and lines the last change took, and commit it."""
    git(folder, "add", "--all")
    stat = subprocess.run(
        ["git", "diff", "--cached", "--numstat"], cwd=folder, capture_output=True, encoding="utf-8", check=True
    )
    git(folder, "commit", "--quiet", "--message=next")
    rows = [line.split("\t") for line in stat.stdout.splitlines()]
    return len(rows), sum(int(added) + int(deleted) for added, deleted, _ in rows)


def check(project: Project, *tests: str) -> None:
    """Run what `make lint` runs, and tests of the project."""
    tools, variables = project.environment / "bin", {"PYTHONPATH": "src", "APP_ENV": "testing"}
    run([str(tools / "ruff"), "check"], project.folder)
    run([str(tools / "ruff"), "format", "--check"], project.folder)
    run([str(tools / "mypy")], project.folder, **variables)
    run([str(tools / "lint-imports")], project.folder, **variables)
    run([str(tools / "pytest"), "-q", *tests], project.folder, **variables)


def delete_examples(folder: Path, framework: str) -> None:
    """Do what docs/update.md says about it."""
    removals = load()["_removals"]
    patterns = [path.replace("src/*/", f"{SOURCE}/") for path in removals["no examples"]["paths"]]
    for path in [path for pattern in patterns if "/runtime/" not in pattern for path in folder.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    apply(Change(0, 0, edits=LEFT_OVER[framework]), folder)
    schedule = folder / SOURCE / "schedule.py"
    rows = re.sub(
        r'(?ms)^    # A crontab, .*?\n|^    "(check-disk|purge-artifacts)": .*?^    \),\n',
        "",
        schedule.read_text("utf-8"),
    )
    schedule.write_text(
        rows.replace("import crontab, schedule", "import schedule") if "crontab(" not in rows else rows, "utf-8"
    )


@pytest.fixture
def owned(installed: Installed, tmp_path: Path) -> Callable[[Answers], Project]:
    """Return a function that gives a copy of a project, in git, with an environment for its developers."""

    def copy(answers: Answers) -> Project:
        project = installed(answers)
        folder = shutil.copytree(project.folder, tmp_path / "project")
        repository(folder)
        install = [*UV, "pip", "install", "--quiet", "--python", python_of(project.environment)]
        run([*install, "--group", "dev", "pillow>=12,<13"], folder)
        return Project(folder, project.environment)

    return copy


@pytest.mark.parametrize("framework", LEFT_OVER)
def test_what_an_owner_does_first_takes_little(
    framework: str, owned: Callable[[Answers], Project], tmp_path: Path, summary: Callable[[str], None]
) -> None:
    needed("redis-server", NEWEST.root)
    project = owned({"framework": framework})
    table = [f"What an owner does first, framework {framework}: files, lines"]
    for name, change in CHANGES.items():
        apply(change, project.folder)
        files, lines = took(project.folder)
        table.append(f"{files:8}{lines:8} {name}")
        assert files <= change.files, name
        assert lines <= change.lines, name
    delete_examples(project.folder, framework)
    table.append(f"{took(project.folder)[0]:8}{'':8} all examples deleted, their tests included")
    check(project, *sorted({test for change in CHANGES.values() for test in change.tests}))
    run([str(project.environment / "bin" / "pytest"), "--collect-only", "-q"], project.folder, PYTHONPATH="src")
    works(project, tmp_path)
    summary("\n".join(table))


def works(project: Project, cwd: Path) -> None:
    """Run the new task, queues, worker, schedule, setting and workflow on a real Redis."""
    (cwd / "a.png").write_bytes(b"P6 20 10 255\n" + bytes(3 * 20 * 10))
    for name in ("b.png", "c.png", "d.png"):
        (cwd / name).unlink(missing_ok=True)
    source = str(project.folder / "src")
    with redis_server(cwd, NEWEST) as url:
        fleet = Fleet(project, cwd, url, PYTHONPATH=f"{source}:{PROBE}")
        try:
            fleet.start(*fleet.project.lines)
            consumers = {queue: worker for worker, queues in project.workers.items() for queue in queues}
            assert {"maps": "io", "invoices": "invoices"}.items() <= consumers.items()
            sent = {queue: fleet.send("probe.sleep", 0, options={"queue": queue}) for queue in consumers}
            fleet.ends(*sent.values())
            for queue, worker in consumers.items():
                (end,) = fleet.seen(event="end", id=sent[queue])
                assert (end["queue"], end["worker"]) == (queue, worker)
            resized = fleet.send("images.resize", "a.png", "c.png", 4)
            fleet.ends(resized)
            fleet.wait((cwd / "b.png").exists, "the schedule has run the task")
            for end in fleet.seen(event="end", task="images.resize"):
                assert (end["queue"], end["worker"], end["state"]) == ("cpu", "cpu", "SUCCESS")
            assert (cwd / "c.png").exists()
            python(fleet, f"from {PACKAGE} import workflows; workflows.resize_and_tell('a.png', 'd.png', 3).delay()")
            ended = partial(fleet.seen, event="end", task="heartbeat.beat", state="SUCCESS")
            fleet.wait(lambda: (cwd / "d.png").exists() and ended(), "both tasks of the workflow have run")
            width = f"from {PACKAGE}.settings import settings; print(settings().thumbnail_width)"
            assert python(fleet, width, APP_THUMBNAIL_WIDTH="77").strip() == "77"
            fleet.stop(*project.lines)
        finally:
            fleet.close()


def python(fleet: Fleet, code: str, **variables: str) -> str:
    """Run code as a process beside a fleet, and return what it printed."""
    command = [python_of(fleet.project.environment), "-c", code]
    return subprocess.run(
        command, cwd=fleet.cwd, env={**fleet.variables, **variables}, capture_output=True, encoding="utf-8", check=True
    ).stdout
