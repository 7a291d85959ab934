"""A project from before `runtime/` becomes one of today, as docs/upgrade.md says."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent

import pytest
from filelock import FileLock

from conftest import Baked, Edit, borrow, files, tree
from history import OLD, Owner, commit
from support import UV, git, python_of, run
from test_docs import block
from variants import PROJECT, TEMPLATE, Answers, variant_id

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
