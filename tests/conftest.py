"""Fixtures that generate and install projects, and helpers that inspect them."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import yaml
from aiosmtpd.controller import Controller
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from filelock import FileLock

from history import OLD, Owner, commit
from load import COLUMNS, table_row
from servers import (
    NEWER_ROOT,
    PATIENCE,
    Checkout,
    Fleet,
    Inbox,
    Place,
    PostgreSQL,
    Project,
    free_port,
    missing,
    needed,
    postgresql_server,
    quick_folder,
    rabbitmq_server,
    redis_server,
)
from support import UV, git, python_of, run
from variants import PROJECT, TEMPLATE, Answers, Choice, all_variants, allowed, cover, variant_id

#: A change to a file of a project: its path in the project, the old text, the new text.
Edit = tuple[str, str, str]
Baked = Callable[[Mapping[str, Choice]], Path]
Copied = Callable[[Mapping[str, Choice], Path], Path]
Installed = Callable[..., Project]
Running = Callable[..., AbstractContextManager[Fleet]]

#: When this run began.
STARTED = time.monotonic()

#: The place of the newest servers present, which tests use that are not about a version.
NEWEST = Place(NEWER_ROOT)


@dataclass(frozen=True)
class Bakery:
    """Generates projects with a configuration of its own, without reading or writing the user's.

    Args:
        home: Folder for cookiecutter's configuration and for temporary files.
    """

    home: Path

    def __post_init__(self) -> None:
        folders = {name: str(self.home / name) for name in ("cookiecutters_dir", "replay_dir")}
        self.config_file.write_text(json.dumps(folders), "utf-8")

    @property
    def config_file(self) -> Path:
        """Return the configuration of cookiecutter; JSON is YAML."""
        return self.home / "cookiecutter.yaml"

    def bake(
        self,
        answers: Mapping[str, Choice],
        out: Path,
        template: Path = TEMPLATE,
        typed: str | None = None,
    ) -> Path:
        """Bake in this process, which takes a fraction of the time of the command line.

        Args:
            answers: Answers that differ from the defaults.
            out: Folder in which the project's folder is made.
            template: The template.
            typed: What is typed at the prompts; without it, nothing is asked.
        """
        stdin = sys.stdin
        try:
            if typed is not None:
                sys.stdin = io.StringIO(typed)
            with warnings.catch_warnings():
                # cookiecutter 2.7.1 calls rmtree(onerror=), deprecated since Python 3.12.
                warnings.simplefilter("ignore", DeprecationWarning)
                project = cookiecutter(
                    str(template),
                    no_input=typed is None,
                    extra_context=dict(answers),
                    output_dir=str(out),
                    config_file=str(self.config_file),
                )
        finally:
            sys.stdin = stdin
        return Path(project)

    @property
    def environment(self) -> dict[str, str]:
        """Return variables that keep commands away from the user's configuration."""
        return {
            "COOKIECUTTER_CONFIG": str(self.config_file),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(self.home),
            "TMPDIR": str(self.home),
        }

    def bake_cli(
        self,
        answers: Mapping[str, Choice],
        out: Path,
        env: Mapping[str, str] | None = None,
        template: Path = TEMPLATE,
        typed: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Bake with the command line of cookiecutter.

        Args:
            answers: Answers that differ from the defaults.
            out: Folder in which the project's folder is made.
            env: Variables besides those of this process.
            template: The template.
            typed: What is typed at the prompts; without it, nothing is asked.
        """
        quiet = ["--no-input"] if typed is None else []
        given = [f"{name}={choice}" for name, choice in answers.items()]
        return subprocess.run(
            [sys.executable, "-m", "cookiecutter", *quiet, "-o", str(out), str(template), *given],
            env={**os.environ, **self.environment, **(env or {})},
            input=typed or "",
            capture_output=True,
            encoding="utf-8",
            check=False,
        )


@pytest.fixture(scope="session", autouse=True)
def cache_of_mypy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let mypy remember what it knows of libraries, for all projects that a process of this run checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MYPY_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "mypy"))
        yield


@pytest.fixture(scope="session")
def bakery(tmp_path_factory: pytest.TempPathFactory) -> Iterable[Bakery]:
    """Return a bakery; the hooks that cookiecutter leaves in the temporary folder go with it."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(home))
        yield Bakery(home)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that all processes of this test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def baked(bakery: Bakery, shared: Path) -> Baked:
    """Return a function that gives the project for answers, generated once for all processes; only for reading."""

    def bake_once(answers: Mapping[str, Choice]) -> Path:
        root = shared / "baked" / f"{crc32(repr(sorted(answers.items())).encode()):x}"
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "lock"):
            if not (root / "complete").exists():
                bakery.bake(answers, root / "project")
                (root / "complete").touch()
        (project,) = (root / "project").iterdir()
        return project

    return bake_once


@pytest.fixture(scope="session")
def copied(baked: Baked) -> Copied:
    """Return a function that copies the project for answers into a folder, for a test that changes it."""

    def copy(answers: Mapping[str, Choice], folder: Path) -> Path:
        project = baked(answers)
        return shutil.copytree(project, folder / project.name, symlinks=True)

    return copy


@pytest.fixture(scope="session")
def baked_part(bakery: Bakery, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Baked]:
    """Return a function that gives another one, which bakes some files alone: a quarter of the time of all.

    Its arguments are the paths of files and folders, below that of the project.
    """

    def bake_part(*paths: str) -> Baked:
        template = tmp_path_factory.mktemp("template")
        shutil.copy(TEMPLATE / "cookiecutter.json", template)
        for path in ("hooks", "templates", *(f"{PROJECT}/{path}" for path in paths)):
            (template / path).parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (TEMPLATE / path).is_dir() else shutil.copy
            copy(TEMPLATE / path, template / path)

        @cache
        def bake_once(key: tuple[tuple[str, Choice], ...]) -> Path:
            return bakery.bake(dict(key), tmp_path_factory.mktemp("part"), template)

        return lambda answers: bake_once(tuple(sorted(answers.items())))

    return bake_part


@pytest.fixture(scope="session")
def environment(baked: Baked, shared: Path) -> Path:
    """Return an environment with the dependencies of all variants, made once."""
    environment = shared / "quality"
    with FileLock(shared / "quality.lock"):
        if not environment.exists():
            run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], shared)
            install = [*UV, "pip", "install", "--quiet", "--python", python_of(environment)]
            run([*install, "deptry>=0.23,<1"], shared)
            rows: Answers = {"framework": "django", "result_backend": "database", "beat": "database"}
            for answers in [rows, *filter(allowed, all_variants("framework", "database"))]:
                most = baked({"beat": "redbeat", **answers})
                run([*install, "-r", "pyproject.toml", "--group", "dev"], most)
    return environment


def libraries(root: Path, project: Path) -> Path:
    """Return an environment with a project's dependencies; projects with the same dependencies share it.

    So their libraries are installed and compiled once.
    """
    dependencies = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    environment = root / f"{crc32(repr(sorted(dependencies)).encode()):x}"
    complete = environment / "complete"
    root.mkdir(exist_ok=True)
    with FileLock(f"{environment}.lock"):
        if not complete.exists():
            run([*UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(environment)], project)
            install = [*UV, "pip", "install", "--quiet", "--python", python_of(environment)]
            run([*install, *dependencies], project)
            complete.touch()
    return environment


def borrow(environment: Path, libraries: Path) -> None:
    """Make the libraries of another environment, and their commands, available in an environment."""
    (ours,), (theirs,) = (folder.glob("lib/python*/site-packages") for folder in (environment, libraries))
    (ours / "libraries.pth").write_text(f"{theirs}\n", "utf-8")
    for script in (libraries / "bin").iterdir():
        place, content = environment / "bin" / script.name, script.read_bytes()
        if not place.exists() and content.startswith(b"#!"):
            place.write_bytes(content.replace(bytes(libraries), bytes(environment)))
            place.chmod(0o755)


@pytest.fixture(scope="session")
def installed(copied: Copied, shared: Path) -> Installed:
    """Return a function that gives the project for answers, installed with no more than it declares.

    Its arguments are the answers and edits of the project's files.
    """

    def install(answers: Answers, *edits: Edit) -> Project:
        # A short path, because a script can name its interpreter in at most 127 characters.
        name = f"{variant_id(answers)[:30]}-{crc32(repr((sorted(answers.items()), edits)).encode()):x}"
        root = shared / "installed" / name
        environment = root / "environment"
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "lock"):
            if not environment.exists():
                folder = copied(answers, root / "project")
                for path, old, new in edits:
                    (file,) = folder.glob(path)
                    text = file.read_text("utf-8")
                    assert old in text, f"{path} of {name} has no {old!r}"
                    file.write_text(text.replace(old, new), "utf-8")
                run([*UV, "venv", "--quiet", "--python", sys.executable, str(environment)], folder)
                borrow(environment, libraries(shared / "libraries", folder))
                install = [*UV, "pip", "install", "--quiet", "--no-deps", "--python", python_of(environment)]
                run([*install, "--editable", "."], folder)
        (folder,) = (root / "project").iterdir()
        return Project(folder, environment)

    return install


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
def postgresql() -> Iterator[PostgreSQL]:
    """Run a PostgreSQL."""
    with postgresql_server() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq(baked: Baked) -> Iterator[Callable[[Place], str]]:
    """Return a function that gives the URL of a RabbitMQ; each test process has its own."""
    urls: dict[Place, str] = {}
    with ExitStack() as stack:

        def url(place: Place) -> str:
            if place not in urls:
                needed("rabbitmq-server", place.root)
                project = baked({"broker": "rabbitmq"})
                folder = stack.enter_context(quick_folder())
                server = rabbitmq_server(folder, project / "deploy" / "rabbitmq.conf", place)
                urls[place] = stack.enter_context(server)
            return urls[place]

        yield url


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """Yield an inbox with an SMTP server."""
    inbox = Inbox(free_port())
    controller = Controller(inbox, hostname="127.0.0.1", port=inbox.port)
    controller.start()
    yield inbox
    controller.stop()


@pytest.fixture
def running(installed: Installed, rabbitmq: Callable[[Place], str], tmp_path: Path) -> Running:
    """Return a function that runs a fleet without processes for answers; all ends with its block.

    It runs on a Redis of its own, and for such a broker on a RabbitMQ whose queues are new.
    """

    @contextmanager
    def run_fleet(
        answers: Answers, *edits: Edit, place: Place = NEWEST, cwd: Path = tmp_path, **variables: str
    ) -> Iterator[Fleet]:
        needed("redis-server", place.root)  # before the time that it takes to install a project
        on_rabbitmq = answers.get("broker") == "rabbitmq"
        if on_rabbitmq:
            variables = {"CELERY_BROKER_URL": rabbitmq(place), **variables}
        project = installed(answers, *edits)
        with redis_server(cwd, place) as url:
            # On a busy machine a server may take longer to answer than a publisher would wait.
            fleet = Fleet(project, cwd, url, **{"CELERY_BROKER_CONNECTION_TIMEOUT": str(PATIENCE), **variables})
            try:
                if on_rabbitmq:
                    fleet.ask("erase")
                yield fleet
            finally:
                fleet.close()

    return run_fleet


@pytest.fixture
def refuse(bakery: Bakery, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that passes answers which a hook must refuse, and gives the line that it wrote.

    Neither the output folder nor the folder around it keeps anything.
    """
    out = tmp_path / "around" / "out"
    out.mkdir(parents=True)

    def bake_refused(answers: Answers, template: Path = TEMPLATE, typed: str | None = None) -> str:
        capfd.readouterr()
        with pytest.raises(FailedHookException):
            bakery.bake(answers, out, template, typed)
        assert list(out.parent.rglob("*")) == [out]
        lines = capfd.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("celery-template: ")
        return lines[0]

    return bake_refused


@pytest.fixture
def template_copy(tmp_path: Path) -> Path:
    """Return a copy of the template, for a test that changes it."""
    copy = tmp_path / "template"
    copy.mkdir()
    shutil.copy(TEMPLATE / "cookiecutter.json", copy)
    for folder in ("hooks", "templates", PROJECT):
        if (TEMPLATE / folder).is_dir():
            shutil.copytree(TEMPLATE / folder, copy / folder)
    return copy


def tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of everything in a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): (
            path.stat().st_mode,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


def files(project: Path) -> list[Path]:
    """Return all files of a project, sorted."""
    return sorted(path for path in project.rglob("*") if path.is_file())


def unparsable(project: Path) -> list[str]:
    """Return the path of every file that is not valid in its format, and the reason."""
    parsers: dict[str, Callable[[str], object]] = {
        ".json": json.loads,
        ".py": lambda text: compile(text, "file", "exec", dont_inherit=True),
        ".toml": tomllib.loads,
        ".yaml": lambda text: list(yaml.safe_load_all(text)),
        ".yml": lambda text: list(yaml.safe_load_all(text)),
    }
    broken = []
    for path in files(project):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # such as a wrong escape in a Python string
                parsers.get(path.suffix, str)(path.read_text("utf-8"))
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            broken.append(f"{path.relative_to(project)}: {error}")
    return broken


@pytest.fixture
def checkout(request: pytest.FixtureRequest, copied: Copied, tmp_path: Path) -> Iterator[Checkout]:
    """Yield a new project, in which `make` installs everything; end what was started in it."""
    needed("make")
    checkout = Checkout(Project(copied(request.param, tmp_path)), tmp_path / "bin")
    yield checkout
    checkout.close()


def in_checkouts(*variants: Answers) -> pytest.MarkDecorator:
    """Run a test in a checkout of each variant, or of few by default."""
    return pytest.mark.parametrize("checkout", cover(variants), ids=variant_id, indirect=True)


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[str, int, int], None]:
    """Return a function that adds to a figure of the summary: name, how many, out of how many."""
    return lambda name, count, total: record_property("tally", [name, count, total])


@pytest.fixture
def summary(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Return a function that adds a text to the summary of the test run."""
    return lambda text: record_property("summary", text)


def figures(reports: Iterable[Any]) -> list[str]:
    """Return the texts that tests passed to `summary` and `tally`, and the table of faults."""
    texts: list[str] = []
    counts: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    faults: list[list[object]] = []
    for name, value in (pair for report in reports for pair in report.user_properties):
        if name == "summary":
            texts.append(value)
        elif name == "fault":
            faults.append(value)
        elif name == "tally":
            counts[value[0]] += value[1]
            totals[value[0]] += value[2]
    if faults:
        texts.append("\n".join(table_row(*row) for row in [COLUMNS, *sorted(faults, key=str)]))
    return [*texts, *(f"{label}: {counts[label]} of {total}" for label, total in totals.items())]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file for the record of a run, from which `nox` makes a table."""
    parser.addoption("--record", type=Path, help="file to write: counts, time, figures, and what was missing, as JSON")


def cpu_time() -> float:
    """Return the seconds of CPU time that this process and its children have used, once they have ended."""
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, USED))


#: The tests of this process that run now, with the CPU time that was used before them.
BEGUN = pytest.StashKey[float]()
USED = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Note the CPU time before a test."""
    item.stash[BEGUN] = cpu_time()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """Note what a test has cost, for the record of the run."""
    if call.when == "teardown" and BEGUN in item.stash:
        item.user_properties.append(("cpu", cpu_time() - item.stash[BEGUN]))


def costs(reports: Iterable[Any]) -> dict[str, float]:
    """Return the seconds of CPU time of each test, the largest first."""
    found = {report.nodeid: value for report in reports for name, value in report.user_properties if name == "cpu"}
    return {test: round(value, 2) for test, value in sorted(found.items(), key=lambda item: -item[1])}


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print the figures of this run, and write its record."""
    reports = {outcome: terminalreporter.getreports(outcome) for outcome in ("passed", "failed", "error", "skipped")}
    texts = figures([*reports["passed"], *reports["failed"]])
    for text in texts:
        terminalreporter.write_line(f"\n{text}")
    if file := config.getoption("--record"):
        reasons = ((report.nodeid, report.longrepr[2].removeprefix("Skipped: ")) for report in reports["skipped"])
        record = {
            "counts": {outcome: len(found) for outcome, found in reports.items()},
            "seconds": time.monotonic() - STARTED,
            "figures": texts,
            "skipped": list(reasons),
            "cpu": costs(terminalreporter.getreports("")),
        }
        file.write_text(json.dumps(record), "utf-8")
