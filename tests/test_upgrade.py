"""A project from before `runtime/` becomes one of today, as docs/upgrade.md says, and both run side by side."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from filelock import FileLock
from redis import Redis

from conftest import NEWEST, Baked, Bakery, Edit, borrow, files, libraries, tree
from servers import Fleet, Place, Project, missing, needed, redis_server
from support import UV, git, inherited, python_of, run
from test_docs import block
from variants import PROJECT, TEMPLATE, Answers, variant_id

#: The last commit of the template before the machinery of a project moved into `runtime/`.
OLD = "500fdf54606f095bfcdedefd3c0be4b52030b308"
#: A commit at which `examples` was yes or no.
OLDER = "70ea878"

DOCUMENT = (TEMPLATE / "docs" / "upgrade.md").read_text("utf-8")
PACKAGE = "src/my_celery_project"


def commands(section: str) -> str:
    """Return the commands below a mark of the document."""
    return dedent(block(DOCUMENT.partition(f"<!-- {section} -->\n")[2], "sh"))


# What an owner has done to a project


#: Files of the owner's, by path.
WRITTEN = {
    f"{PACKAGE}/tasks/invoices.py": '''"""Invoices."""

from __future__ import annotations

import httpx
from celery.utils.log import get_task_logger

from .. import artifacts, context, limits
from ..celery import app
from ..reliability.idempotency import idempotent
from ..reliability.lock import lock
from ..reliability.unique import UniqueTask
from .base import AtMostOnceTask, BaseTask, PermanentError, TransientError

logger = get_task_logger(__name__)


@app.task(base=BaseTask, bind=True, name="invoices.send")
@idempotent(key="{invoice_id}")
def send(self: BaseTask, invoice_id: int) -> int:
    """Send an invoice."""
    if invoice_id < 0:
        raise PermanentError(f"there is no invoice {invoice_id}")
    with lock(f"invoice:{invoice_id}"):
        logger.info("invoice %d of %s", invoice_id, context.current().tenant)
    return invoice_id


@app.task(base=UniqueTask, name="invoices.print", max_retries=5)
def render(invoice_id: int) -> str:
    """Print an invoice, and how much time there is for it."""
    text = str(limits.in_force().soft)
    return artifacts.save(f"invoices/{invoice_id}.txt", text.encode())


@app.task(base=AtMostOnceTask, name="invoices.charge")
def charge(url: str) -> None:
    """Charge a card."""
    try:
        httpx.post(url, timeout=5).raise_for_status()
    except httpx.TransportError as error:
        raise TransientError(str(error)) from error
''',
    "tests/worker/test_invoices.py": """from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

from fakeredis import FakeRedis

from my_celery_project import artifacts
from my_celery_project.tasks import invoices
from my_celery_project.tasks.base import PermanentError


def test_an_invoice_is_sent_once(run: Callable[..., Any], redis: FakeRedis) -> None:
    assert [run(invoices.send, invoice_id=7).value for _ in range(2)] == [7, 7]


def test_an_unknown_invoice_is_final(run: Callable[..., Any], redis: FakeRedis) -> None:
    assert isinstance(run(invoices.send, invoice_id=-1).value, PermanentError)


def test_there_are_200_seconds_to_print(run: Callable[..., Any], redis: FakeRedis) -> None:
    with artifacts.open_text(run(invoices.render, invoice_id=7).value) as file:
        assert float(file.read()) == 200
""",
}

#: The owner's changes: path, old text, new text.
CHANGED: list[Edit] = [
    (
        f"{PACKAGE}/celery.py",
        '    f"{__package__}.tasks.heartbeat",\n',
        '    f"{__package__}.tasks.heartbeat",\n    f"{__package__}.tasks.invoices",\n',
    ),
    (f"{PACKAGE}/queues.py", '    CPU = "cpu"\n', '    CPU = "cpu"\n    PRINTER = "printer"\n'),
    (
        f"{PACKAGE}/queues.py",
        '    "heartbeat.*": to(QueueName.DEFAULT),\n',
        '    "heartbeat.*": to(QueueName.DEFAULT),\n'
        '    "invoices.print": to(QueueName.PRINTER),\n    "invoices.*": to(QueueName.IO),\n',
    ),
    ("Procfile", "--queues cpu ", "--queues cpu,printer "),
    ("compose.yaml", "--queues cpu --pool", "--queues cpu,printer --pool"),
    (
        f"{PACKAGE}/schedule.py",
        '    "check-disk": entry(',
        '    "print-terms": entry(\n        "invoices.print",\n        crontab(hour="5", minute="0"),\n'
        "        timedelta(hours=6),\n        QueueName.PRINTER,\n        invoice_id=0,\n    ),\n"
        '    "check-disk": entry(',
    ),
    (f"{PACKAGE}/config/base.py", "result_expires: Seconds = 24 * 3600", "result_expires: Seconds = 7 * 24 * 3600"),
    (f"{PACKAGE}/config/production.py", "from .urls", "from .values import Count\nfrom .urls"),
    (
        f"{PACKAGE}/config/production.py",
        '    """Every URL must be given and be safe."""\n',
        '    """Every URL must be given and be safe."""\n\n    worker_max_tasks_per_child: Count = 500\n',
    ),
    (f"{PACKAGE}/limits.py", "SOFT_LIMIT = 240", "SOFT_LIMIT = 200"),
    ("README.md", "## Run it\n", "The handbook says who is on call.\n\n## Run it\n"),
    (
        "tests/unit/test_queues.py",
        '    "maintenance.check_disk"',
        '    "invoices.charge": (queues.QueueName.IO, queues.Priority.NORMAL),\n'
        '    "invoices.print": (queues.QueueName.PRINTER, queues.Priority.NORMAL),\n'
        '    "invoices.send": (queues.QueueName.IO, queues.Priority.NORMAL),\n    "maintenance.check_disk"',
    ),
    (
        "tests/unit/test_queues.py",
        'app.send_task("new.task", queue="critcal")\n',
        'app.send_task("new.task", queue="critcal")\n    with pytest.raises(QueueNotFound):\n'
        '        app.send_task("new.task", queue="invoices")\n',
    ),
]

#: What is left to the owner after the commands of the document.
BY_HAND: list[Edit] = [
    (f"{PACKAGE}/limits.py", "soft=240", "soft=200"),
    (f"{PACKAGE}/config.py", "result_expires: Seconds = 24 * 3600", "result_expires: Seconds = 7 * 24 * 3600"),
    (
        f"{PACKAGE}/config.py",
        '    """Production: every server must be named, and unsafe URLs are refused."""\n',
        '    """Production: every server must be named, and unsafe URLs are refused."""\n\n'
        "    worker_max_tasks_per_child: Count = 500\n",
    ),
    (f"{PACKAGE}/tasks/invoices.py", "limits.in_force()", "budget.in_force()"),
    (f"{PACKAGE}/tasks/invoices.py", "from .. import artifacts, limits\n", "from ..artifacts import artifacts\n"),
    (f"{PACKAGE}/tasks/invoices.py", "runtime import context\n", "runtime import budget, context\n"),
    ("tests/worker/test_invoices.py", "celery_project import artifacts", "celery_project.artifacts import artifacts"),
    (
        f"{PACKAGE}/schedule.py",
        '    "check-disk": entry(',
        '    "print-terms": entry(\n'
        '        "invoices.print", crontab(hour="5", minute="0"), timedelta(hours=6), invoice_id=0\n'
        '    ),\n    "check-disk": entry(',
    ),
]

INVOICE = 'class Invoice(Arguments):\n    """Those of `invoices.print`."""\n\n    invoice_id: PositiveInt\n\n\n'

#: The same of a Django project, besides; the template has changed the Procfile's line beside the owner's.
CHANGED_IN_DJANGO: list[Edit] = [
    (f"{PACKAGE}/site/settings.py", '.mailings",\n', '.mailings",\n    "django.contrib.humanize",\n'),
    (f"{PACKAGE}/site/catalog.py", "import heartbeat, reports", "import heartbeat, invoices, reports"),
    (
        f"{PACKAGE}/site/catalog.py",
        "class Entry(",
        f"{INVOICE}class Entry(",
    ),
    (f"{PACKAGE}/site/catalog.py", '    "mailing"', '    "print": Entry(invoices.render, Invoice),\n    "mailing"'),
]
BY_HAND_IN_DJANGO: list[Edit] = [
    ("Procfile", "--queues cpu ", "--queues cpu,printer "),
    (f"{PACKAGE}/site/catalog.py", "import heartbeat, reports", "import heartbeat, invoices, reports"),
    (
        f"{PACKAGE}/site/catalog.py",
        "#: The arguments",
        f"{INVOICE}#: The arguments",
    ),
    (f"{PACKAGE}/site/catalog.py", "        mailings.", "        invoices.render.name: Invoice,\n        mailings."),
    (f"{PACKAGE}/site/catalog.py", '    "mailing"', '    "print": invoices.render.name,\n    "mailing"'),
]

#: Files that end as the template's, with the owner's changes in them.
OWNED = {*WRITTEN, *(path for path, *_ in [*CHANGED, *BY_HAND]), ".cruft.json"} - {
    f"{PACKAGE}/celery.py",
    f"{PACKAGE}/config/base.py",
    f"{PACKAGE}/config/production.py",
    "tests/unit/test_queues.py",
}
OWNED_IN_DJANGO = {path for path, *_ in CHANGED_IN_DJANGO}

#: What git cannot merge.
CONFLICTS = {
    f"UU {PACKAGE}/celery.py",
    f"UD {PACKAGE}/config/base.py",
    f"UD {PACKAGE}/config/production.py",
    f"UU {PACKAGE}/limits.py",
    f"UU {PACKAGE}/schedule.py",
    "UU tests/unit/test_queues.py",
}
CONFLICTS_IN_DJANGO = {"UU Procfile", f"UU {PACKAGE}/site/catalog.py"}

DJANGO: Answers = {"framework": "django"}


def edit(project: Path, *edits: Edit) -> None:
    """Change files of a project."""
    for path, old, new in edits:
        text = (project / path).read_text("utf-8")
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (project / path).write_text(text.replace(old, new), "utf-8")


def commit(project: Path, message: str) -> None:
    """Commit all that there is."""
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", f"--message={message}")


@dataclass(frozen=True)
class Owner:
    """Somebody with cruft, and a clone of the template beside the project.

    Args:
        bakery: Keeps what is the user's apart.
        template: The clone.
    """

    bakery: Bakery
    template: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return the variables of the owner's shell."""
        scripts = str(Path(sys.executable).parent)
        return {
            **{name: value for name, value in inherited().items() if not name.startswith(("PYTEST_", "CELERY_"))},
            **self.bakery.environment,
            "PATH": f"{scripts}:{os.environ['PATH']}",
            **{
                f"GIT_{who}_{what}": "owner@example.com"
                for who in ("AUTHOR", "COMMITTER")
                for what in ("NAME", "EMAIL")
            },
        }

    def create(self, answers: Mapping[str, object], folder: Path, checkout: str = OLD) -> Path:
        """Make a project from an earlier commit of the template, and commit it."""
        options = ["--checkout", checkout, "--no-input", "--output-dir", str(folder)]
        self.run(folder, "cruft", "create", str(self.template), *options, "--extra-context", json.dumps(answers))
        (project,) = folder.iterdir()
        git(project, "init", "--quiet", "--initial-branch=main")
        commit(project, "generated")
        return project

    def run(self, folder: Path, *command: str, ends: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run a command, which must end with this code, and return what it wrote."""
        folder.mkdir(parents=True, exist_ok=True)
        result = subprocess.run(
            command,
            cwd=folder,
            env={**self.variables, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        assert result.returncode == ends, result.stdout
        return result.stdout

    def shell(self, folder: Path, script: str, ends: int = 0, variables: Mapping[str, str] | None = None) -> str:
        """Run commands of the document until one fails."""
        return self.run(folder, "/bin/bash", "-e", "-c", script, ends=ends, variables=variables)


@pytest.fixture(scope="session")
def owner(bakery: Bakery, shared: Path) -> Owner:
    """Return an owner whose clone of the template ends with what lies here, committed or not."""
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{OLD}^{{commit}}"], cwd=TEMPLATE, check=False, capture_output=True
    )
    if found.returncode:
        missing("the template's history back to before runtime/", "git fetch --unshallow, in a clone of its repository")
    clone = shared / "celery-template"
    with FileLock(f"{clone}.lock"):
        if not clone.exists():
            whole = clone.with_suffix(".new")
            git(TEMPLATE, "clone", "--quiet", str(TEMPLATE), str(whole))
            for name in ("cookiecutter.json", "hooks", "templates", "docs", PROJECT):
                copy = shutil.copytree if (TEMPLATE / name).is_dir() else shutil.copy
                if (whole / name).is_dir():
                    shutil.rmtree(whole / name)
                copy(TEMPLATE / name, whole / name)
            commit(whole, "what lies here")
            whole.rename(clone)
    return Owner(bakery, clone)


@pytest.fixture(scope="session")
def tools(shared: Path, baked: Baked) -> Path:
    """Return an environment with what both kinds of projects need, and their tests."""
    environment = shared / "upgrade-tools"
    with FileLock(f"{environment}.lock"):
        if not environment.exists():
            whole = environment.with_suffix(".new")
            run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], shared)
            install = [*UV, "pip", "install", "--quiet", "--python", python_of(environment)]
            run([*install, "-r", "pyproject.toml", "--group", "dev"], baked(DJANGO))
            whole.touch()
    return environment


def install(project: Path, tools: Path) -> None:
    """Install a project as `make install` does, with libraries that another environment has."""
    environment = project / ".venv"
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], project)
    borrow(environment, tools)
    (environment / "bin" / "ruff").symlink_to(tools / "bin" / "ruff")  # no script
    run([*UV, "pip", "install", "--quiet", "--no-deps", "--python", python_of(environment), "-e", "."], project)
    (environment / ".installed").touch()


# The update


def unmerged(owner: Owner, project: Path) -> set[str]:
    """Return the conflicts of a merge."""
    lines = owner.run(project, "git", "status", "--short").splitlines()
    return {line for line in lines if "U" in line[:2]}


@pytest.mark.parametrize("answers", [{}, DJANGO], ids=variant_id)
def test_an_update_across_the_move_keeps_what_is_the_owners(
    answers: Answers, owner: Owner, tools: Path, baked: Baked, tmp_path: Path
) -> None:
    in_django = answers == DJANGO
    folder = tmp_path / "work"
    project = owner.create(answers, folder)
    (folder / "celery-template").symlink_to(owner.template)
    for path, text in WRITTEN.items():
        (project / path).write_text(text, "utf-8")
    edit(project, *CHANGED, *(CHANGED_IN_DJANGO if in_django else ()))
    commit(project, "what is the owner's")

    owner.shell(project, commands("merge"), ends=1)
    assert unmerged(owner, project) == CONFLICTS | (CONFLICTS_IN_DJANGO if in_django else set())
    told = owner.shell(project, commands("move"))
    assert "+    result_expires: Seconds = 7 * 24 * 3600" in told
    assert "+    worker_max_tasks_per_child: Count = 500" in told
    assert "+SOFT_LIMIT = 200" in told
    both = ["Procfile", f"{PACKAGE}/site/catalog.py"] if in_django else []
    owner.run(project, "git", "checkout", "--theirs", f"{PACKAGE}/schedule.py", *both)

    install(project, tools)
    variables = {"PATH": f"{project / '.venv' / 'bin'}:{os.defpath}"}
    told = owner.shell(project, commands("imports"), ends=2, variables=variables)
    assert re.findall(r'(?m)^src/.*error: Module has no attribute "(\w+)"', told) == ["in_force", "save"]
    edit(project, *BY_HAND, *(BY_HAND_IN_DJANGO if in_django else ()))
    told = owner.run(project, "make", "install", "format", "lint", "test", variables=variables)
    commit(project, "updated")
    assert unmerged(owner, project) == set()
    assert "up to date" in owner.run(project, "cruft", "update")

    # All that differs from a new project is the owner's: nothing of the old one is left, and nothing is missing.
    new = baked(answers)
    ours = set(owner.run(project, "git", "ls-files").splitlines())
    theirs = {path.relative_to(new).as_posix() for path in files(new)}
    differ = {path for path in ours & theirs if (project / path).read_bytes() != (new / path).read_bytes()}
    assert differ | (ours ^ theirs) == OWNED | (OWNED_IN_DJANGO if in_django else set())
    lines = {"The handbook says who is on call.", "--queues cpu,printer", '"print-terms": entry('}
    texts = "\n".join((project / path).read_text("utf-8") for path in sorted(OWNED))
    assert [line for line in lines if line not in texts] == []
    assert not re.search(r"(?m)^(<<<<<<<|>>>>>>>) ", texts)

    assert re.search(r"\d{2,} passed", told)
    assert "runtime:" in owner.run(project, "celery", "-A", "my_celery_project", "report", variables=variables)


@pytest.mark.parametrize("answers", [{}, DJANGO], ids=variant_id)
def test_the_owner_is_told_of_a_patch_that_does_not_fit_and_can_take_it_back(
    answers: Answers, owner: Owner, tmp_path: Path
) -> None:
    """The warning of the document: of a file that was changed here and deleted there, only the output tells."""
    project = owner.create(answers, tmp_path)
    edit(project, *CHANGED)
    commit(project, "what is the owner's")
    before = tree(project)
    told = owner.run(project, "cruft", "update", "--skip-apply-ask")
    assert f"{PACKAGE}/config/base.py: patch does not apply" in told
    assert (project / PACKAGE / "limits.py.rej").is_file()
    assert (project / PACKAGE / "config" / "base.py").is_file()
    back = re.search(r"`(git reset --hard && git clean [^`]+)`", DOCUMENT)
    assert back
    owner.shell(project, back[1])
    after = tree(project)
    for written in (before, after):
        for path in [path for path in written if path.partition("/")[0] == ".git"]:
            del written[path]
    assert after == before


def moved() -> dict[tuple[str, str], str]:
    """Return the table of the document as its script reads it: where a name of a module is now."""
    spec = spec_from_file_location("moved_imports", TEMPLATE / "docs" / "moved_imports.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    places: dict[tuple[str, str], str] = module.moved(DOCUMENT)
    return places


def test_the_table_names_what_was_and_what_is(owner: Owner) -> None:
    root = f"{PROJECT}/src/{{{{cookiecutter.package_name}}}}"

    def source(module: str, revision: str) -> str:
        """Return the text of a module as the template has, or had it."""
        path = f"{revision}:{root}/{module.replace('.', '/')}.py"
        return owner.run(owner.template, "git", "show", path)

    assert len(moved()) > 30
    for (module, name), place in moved().items():
        before, now = source(module, OLD), source(place, "HEAD")
        if name != "*":
            for text in (before, now):
                assert re.search(rf"(?m)^(class {name}\b|def {name}\b|{name}\b.* = )", text), (module, name)


def test_an_import_is_written_anew_in_the_manner_of_its_file(owner: Owner, tmp_path: Path) -> None:
    before = {
        "src/shop/celery.py": "from . import context, config\n",
        "src/shop/tasks/deep/mail.py": (
            "from ...tasks import base\nfrom ..base import (\n    BaseTask,\n    TransientError as Later,\n)\n\n\n"
            "def load():\n    from ... import errors, context as c\n"
        ),
        "src/shop/runtime/own.py": "from ..tasks.base import BaseTask\n",
        "tests/test_mail.py": "from shop.errors import from_smtp\nfrom shop import reliability\nimport shop.context\n",
        "tests/test_conflict.py": "<<<<<<< HEAD\n",
    }
    for path, text in before.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, "utf-8")
    script = str(TEMPLATE / "docs" / "moved_imports.py")
    told = owner.run(tmp_path, sys.executable, script, "src", "tests", ends=1)
    assert "tests/test_conflict.py:1 is not Python: resolve its conflict, and run this again" in told
    assert {path: (tmp_path / path).read_text("utf-8") for path in before} == {
        **before,
        "src/shop/celery.py": "from .runtime import context\nfrom . import config\n",
        "src/shop/tasks/deep/mail.py": (
            "from ...runtime.tasks import base\nfrom ...runtime.tasks.base import BaseTask\n"
            "from ...runtime.errors import TransientError as Later\n\n\n"
            "def load():\n    from ...runtime import answers as errors, context as c\n"
        ),
        "tests/test_mail.py": before["tests/test_mail.py"].replace("shop.errors", "shop.runtime.answers"),
    }


def test_a_project_that_plain_cookiecutter_made_is_linked(owner: Owner, tmp_path: Path) -> None:
    answers = {"project_name": "My Shop", "broker": "rabbitmq"}
    project = owner.create(answers, tmp_path)
    record = json.loads((project / ".cruft.json").read_text("utf-8"))
    git(project, "rm", "--quiet", ".cruft.json")
    git(project, "commit", "--quiet", "--amend", "--message=as cookiecutter makes it")
    first = owner.run(project, "git", "rev-parse", "HEAD").strip()
    edit(project, ("README.md", "## Run it\n", "Ours.\n\n## Run it\n"))
    commit(project, "what is the owner's")
    variables = {"FIRST": first, "TEMPLATE": str(owner.template), "COMMIT": OLD, "ANSWERS": json.dumps(answers)}
    owner.shell(project, commands("link"), variables=variables)
    assert json.loads((project / ".cruft.json").read_text("utf-8")) == record
    assert owner.run(project, "git", "status", "--short") == ""
    owner.shell(project, commands("merge"))  # the branch is there already
    assert (project / "src" / "my_shop" / "runtime").is_dir()
    assert "Ours." in (project / "README.md").read_text("utf-8")
    assert "up to date" in owner.run(project, "cruft", "update")


def test_an_answer_with_other_choices_is_given_anew(owner: Owner, tmp_path: Path) -> None:
    project = owner.create({}, tmp_path, OLDER)
    assert "provided for choice variable" in owner.run(project, "cruft", "update", "-y", ends=1)
    (command,) = re.findall(r"`(cruft update --variables-to-update '[^`]+)`", DOCUMENT)
    owner.shell(project, f"{command} --skip-apply-ask")
    assert (project / PACKAGE / "workflows").is_dir()


def test_a_later_update_is_one_command_and_keeps_what_is_the_owners(owner: Owner, tmp_path: Path) -> None:
    """The template goes on by a change of the runtime, of a file that the owner changed too, and a new file."""
    template = tmp_path / "celery-template"
    git(tmp_path, "clone", "--quiet", str(owner.template), str(template))
    project = replace(owner, template=template).create({}, tmp_path / "project", "HEAD")
    edit(
        project, (f"{PACKAGE}/limits.py", "soft=240", "soft=200"), ("README.md", "## Run it\n", "Ours.\n\n## Run it\n")
    )
    commit(project, "what is the owner's")
    runtime = template / PROJECT / "src" / "{{cookiecutter.package_name}}" / "runtime"
    edit(runtime, ("__init__.py", '__version__ = "', '__version__ = "9.'))
    edit(template / PROJECT, ("README.md", "## Test it\n", "## Test it\n\nTheirs.\n"))
    (runtime / "new.py").write_text('"""New."""\n', "utf-8")
    commit(template, "later")
    owner.run(project, "cruft", "update", "--skip-apply-ask")
    assert sorted(owner.run(project, "git", "diff", "HEAD", "--name-only").splitlines()) == [
        ".cruft.json",
        "README.md",
        f"{PACKAGE}/runtime/__init__.py",
        f"{PACKAGE}/runtime/new.py",
    ]
    assert "soft=200" in (project / PACKAGE / "limits.py").read_text("utf-8")
    text = (project / "README.md").read_text("utf-8")
    assert "Ours.\n\n## Run it\n" in text
    assert "## Test it\n\nTheirs.\n" in text


# Both side by side


#: A Redis for all, and RabbitMQ with a Redis for results and state.
BROKERS: list[Answers] = [{}, {"broker": "rabbitmq"}]
SHORT_LEASE = {
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "3",
    "CELERY_BROKER_TRANSPORT_OPTIONS__UNACKED_RESTORE_INTERVAL": "0.5",
}


def made(owner: Owner, shared: Path, folder: Path) -> Project:
    """Return a project, installed with the libraries that projects with the same dependencies share."""
    environment = folder.parent.parent / "environment"
    run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], folder)
    borrow(environment, libraries(shared / "libraries", folder))
    run([*UV, "pip", "install", "--quiet", "--no-deps", "--python", python_of(environment), "-e", "."], folder)
    return Project(folder, environment)


@dataclass(frozen=True)
class Sides:
    """A project as it was and as it is, on the same servers; the records of both are in one file.

    Args:
        old: Processes of the old one.
        new: Processes of the new one.
        redis: The Redis with the state of both.
        flags: Folder of files for which tasks wait.
    """

    old: Fleet
    new: Fleet
    redis: Redis
    flags: Path

    def dead_letters(self, fleet: Fleet, *arguments: str) -> str:
        """Return what the command prints in a project."""
        command = [str(fleet.project.environment / "bin" / "celery"), "-A", fleet.project.package, "dead-letters"]
        return run_with(fleet.variables, fleet.cwd, *command, *arguments)

    def letters(self, fleet: Fleet, task: str) -> list[dict[str, Any]]:
        """Return the dead letters of a task, as a project lists them."""
        lines = self.dead_letters(fleet, "list", "--json", "--task", task).splitlines()
        found: list[dict[str, Any]] = json.loads(lines[-1])
        return found


Both = Callable[..., AbstractContextManager[Sides]]


def run_with(variables: Mapping[str, str], folder: Path, *command: str) -> str:
    """Run a command that must succeed with these variables alone, and return what it wrote."""
    result = subprocess.run(
        command, cwd=folder, env=dict(variables), capture_output=True, encoding="utf-8", check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def sides(owner: Owner, baked: Baked, shared: Path, rabbitmq: Callable[[Place], str], tmp_path: Path) -> Both:
    """Return a function that runs both projects on servers of their own."""

    @contextmanager
    def run_both(answers: Answers, **others: str) -> Iterator[Sides]:
        needed("redis-server", NEWEST.root)
        variables: dict[str, str] = {"CELERY_WORKER_INCLUDE": "upgrade", "FLAGS": str(tmp_path / "flags"), **others}
        on_rabbitmq = answers.get("broker") == "rabbitmq"
        variables |= {"CELERY_BROKER_URL": rabbitmq(NEWEST)} if on_rabbitmq else SHORT_LEASE
        records = tmp_path / "records"
        (tmp_path / "flags").mkdir()
        folders = {
            "old": owner.create(answers, tmp_path / "old" / "project"),
            "new": shutil.copytree(baked(answers), tmp_path / "new" / "project" / "my-celery-project"),
        }
        with redis_server(tmp_path, NEWEST) as url:
            fleets = []
            try:
                for side, folder in folders.items():
                    (cwd := tmp_path / side / "cwd").mkdir()
                    project = made(owner, shared, folder)
                    fleet = Fleet(project, cwd, url, SIDE=side, PROBE_FILE=str(records), **variables)
                    fleet.records = records
                    fleets.append(fleet)
                records.touch()
                if on_rabbitmq:
                    fleets[0].ask("erase")
                with Redis.from_url(f"{url}/{1 if on_rabbitmq else 0}") as client:
                    yield Sides(fleets[0], fleets[1], client, tmp_path / "flags")
            finally:
                for fleet in fleets:
                    fleet.close()

    return run_both


def masked(text: str) -> str:
    """Return a text without what is random in it, and without priorities.

    The earlier project gives the priority of a route to the router only, and the broker does not get it.
    """
    text = re.sub(r', \\*"x-sent-at\\*": [\d.]+', "", text)  # which the new one adds for its metrics
    text = re.sub("\x06\x16\\d", "", text)
    text = re.sub(r'"priority": \d', '"priority": 0', text)
    text = re.sub(r"/libraries/\w+/", "/libraries/ID/", text)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32,}", "ID", text)
    text = re.sub(r"gen\d+@[\w.-]+", "ORIGIN", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.+]+|\d{10}\.\d+", "TIME", text)
    return re.sub(r'"timestamp": \d+', '"timestamp": "TIME"', text)


def keys(client: Redis, pattern: str) -> list[list[str]]:
    """Return name and type of keys, sorted."""
    return sorted([masked(key.decode()), client.type(key).decode()] for key in client.scan_iter(pattern))  # type: ignore[union-attr]


def life(both: Sides, fleet: Fleet) -> list[Any]:
    """Let a project send, hold and lose something; return all that the servers, or another project, see of it."""
    both.redis.flushall()
    for flag in both.flags.iterdir():
        flag.unlink()
    settings = fleet.ask("use", "upgrade.settings")
    for options in ({}, {"headers": {"x-urgent": "yes"}}, {"queue": "bulk", "priority": 6, "expires": 600}):
        fleet.ask("use", "upgrade.send_bound", "word", options)
    for _ in range(2):
        fleet.send("upgrade.rebuild", 7)
    fleet.ask("use", "upgrade.send_chord", ["default", "bulk"])
    sent = keys(both.redis, "*")
    messages = {name: fleet.ask("use", "upgrade.waiting", name) for name in ("critical", "default", "bulk")}
    assert [len(found) for found in messages.values()] == [1, 3, 2]

    fleet.start("general")
    fleet.send("upgrade.fail", "never")
    fleet.send("upgrade.pay", "order-7")
    fleet.send("upgrade.hold", "stock", "released")
    fleet.send("upgrade.charge", "go")
    side = fleet.variables["SIDE"]
    for event in ("paid", "started", "holds"):
        fleet.wait(partial(fleet.seen, side=side, event=event), event)
    fleet.wait(lambda: both.letters(fleet, "upgrade.fail"), "a task is a dead letter")
    held = keys(both.redis, "my_celery_project:*")
    letters = both.letters(fleet, "upgrade.fail")
    as_json = () if fleet is both.old else ("--json",)
    whole = both.dead_letters(fleet, "show", letters[0]["id"], *as_json)
    for name in ("released", "go"):
        (both.flags / name).touch()
    for event in ("released", "finished"):
        fleet.wait(partial(fleet.seen, side=side, event=event), event)
    fleet.stop("general")
    left = keys(both.redis, "my_celery_project:*")
    parts = settings, sent, messages, held, left, letters, json.loads(whole)
    return [json.loads(masked(json.dumps(part))) for part in parts]


@pytest.mark.parametrize("answers", BROKERS, ids=variant_id)
def test_keys_queues_and_messages_are_the_same_ones(answers: Answers, sides: Both) -> None:
    with sides(answers) as both:
        old, new = (life(both, fleet) for fleet in (both.old, both.new))
        for one, other in zip(old, new, strict=True):
            assert one == other
        _, _, _, held, *_ = new
        kinds = {name.split(":")[1] for name, _ in held}
        assert kinds >= {"dead-letters", "idempotency", "lock", "fence", "run"}


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
@pytest.mark.parametrize("answers", BROKERS, ids=variant_id)
def test_what_one_has_sent_left_and_holds_the_other_knows(
    answers: Answers, first: str, second: str, sides: Both
) -> None:
    with sides(answers) as both:
        one, other = getattr(both, first), getattr(both, second)
        for fleet in (one, other):
            fleet.ask("use", "upgrade.settings")  # loads the tasks

        # The one ends a task, holds a lock, and is killed in the middle of two more.
        one.start("general", "io")
        one.send("upgrade.fail", "repaired")
        one.send("upgrade.pay", "order-7")
        one.send("upgrade.hold", "stock", "released", options={"queue": "io"})
        hung, charged = one.send("upgrade.hang", "go"), one.send("upgrade.charge", "go")
        for event in ("paid", "holds"):
            one.wait(partial(one.seen, event=event, side=first), event)
        one.wait(lambda: len(one.seen(event="started", side=first)) == 2, "two tasks start")
        one.wait(lambda: both.letters(other, "upgrade.fail"), "the other one sees the dead letter")
        one.kill("general")

        # It sends, and the other one runs.
        rebuilt = one.send("upgrade.rebuild", 7)
        assert other.send("upgrade.rebuild", 7) == rebuilt
        due = time.time() + 5
        for word, options in (("plain", {}), ("later", {"countdown": 5}), ("urgent", {"headers": {"x-urgent": "yes"}})):
            one.ask("use", "upgrade.send_bound", word, options)
        one.ask("use", "upgrade.send_chord", ["default", "io", "bulk"])
        again = other.send("upgrade.pay", "order-7")
        other.send("upgrade.hold", "stock", "released")
        other.start(*(name for name in ("critical", "general") if name in other.project.lines))
        for word in ("plain", "urgent", "later"):
            other.wait(partial(other.seen, event="note", word=word), word)
            (note,) = other.seen(event="note", word=word)
            assert (note["side"], note["correlation_id"], note["tenant"]) == (second, f"id-{word}", "acme")
            assert note["urgent"] == ("yes" if word == "urgent" else None)
        assert time.time() >= due
        other.wait(lambda: other.seen(event="gather"), "a chord ends")
        (gathered,) = other.seen(event="gather")
        assert sorted(gathered["words"]) == ["bulk", "default", "io"]
        assert {
            note["word"]: note["side"] for note in other.seen(event="note") if note["word"] in gathered["words"]
        } == {
            "default": second,
            "io": first,
            "bulk": second,
        }
        other.wait(lambda: other.seen(event="rebuilt"), "the unique task runs")
        assert [entry["side"] for entry in other.seen(event="rebuilt")] == [second]
        assert other.send("upgrade.rebuild", 7) != rebuilt

        # One effect for each key, which the first one had; one holder of a lock, the first.
        other.wait(lambda: other.ask("use", "upgrade.state", again) == ["SUCCESS", first], "the outcome is known")
        assert [entry["side"] for entry in other.seen(event="paid")] == [first]
        refusals = ("holds the lock", "held elsewhere")  # of today, and of the first commit of this test
        other.wait(lambda: any(text in other.log("general") for text in refusals), "another one holds the lock")
        assert [entry["side"] for entry in other.seen(event="holds")] == [first]
        (both.flags / "released").touch()
        other.wait(lambda: other.seen(event="released", side=second), "the lock is free")

        # The dead letter is repaired; of the two tasks whose worker died, one runs again.
        (both.flags / "repaired").touch()
        (letter,) = both.letters(other, "upgrade.fail")
        both.dead_letters(other, "replay", letter["id"])
        other.wait(lambda: other.seen(event="repaired", side=second), "the dead letter is repaired")
        assert [letter["replayed_as"] is not None for letter in both.letters(one, "upgrade.fail")] == [True]
        both.redis.delete(f"my_celery_project:run:{charged}:lease")  # it would end after half a minute
        other.wait(lambda: both.letters(other, "upgrade.charge"), "the task that must not run twice is a dead letter")
        assert [letter["reason"] for letter in both.letters(one, "upgrade.charge")] == ["worker lost"]
        other.wait(lambda: other.seen(event="started", side=second), "the other task starts again")
        other.kill("general")
        one.start("general")
        one.wait(lambda: one.seen(event="started", side=first, crashes=2), "its crashes are counted")
        (both.flags / "go").touch()
        one.wait(lambda: one.seen(event="finished", side=first), "it ends")
        assert [entry["task"] for entry in one.seen(event="finished")] == ["upgrade.hang"]
        assert hung
        one.stop("general", "io")


@pytest.mark.parametrize(("first", "second"), [("old", "new"), ("new", "old")])
def test_jobs_of_django_are_rows_that_both_know(first: str, second: str, sides: Both, tmp_path: Path) -> None:
    with sides(DJANGO, DATABASE_URL=f"sqlite:///{tmp_path / 'database'}") as both:
        one, other = getattr(both, first), getattr(both, second)
        for fleet in (one, other):  # whoever updates migrates; the old one finds nothing to do after the new one
            program = [str(fleet.project.environment / "bin" / "python"), str(fleet.project.folder / "manage.py")]
            for option in ("--verbosity=0", "--check"):
                run_with(fleet.variables, fleet.cwd, *program, "migrate", option)
        wanted, cancelled = (one.ask("use", "upgrade.submit_job", answer) for answer in (False, True))
        other.start("general")
        other.wait(lambda: one.ask("use", "upgrade.state", wanted)[0] == "SUCCESS", "a job ends")
        other.wait(lambda: one.ask("use", "upgrade.state", cancelled)[0] == "REVOKED", "one was cancelled")
        other.stop("general")
