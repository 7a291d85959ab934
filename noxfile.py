"""All checks of the template: `nox` runs every session, `nox -s bake` one, `nox -s full` all in full size."""

import atexit
import os
import subprocess
import sys
from pathlib import Path

import nox
import nox.registry

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = False

# Tests start thousands of Python processes. Where this is set, as in many containers, each compiles Celery anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

CODE = ("benchmarks", "docs", "hooks", "noxfile.py", "tests")
#: Parallel test processes: more than cores, because most tests wait for other processes.
WORKERS = "4"
#: The same for tests that wait for servers, leases, schedules and outages most of the time. More of them would leave
#: too little of two cores to each: with 8, servers did not answer within their time limits.
MANY_WORKERS = "6"

#: Sessions that wait for nothing. They run at the lowest priority beside the others, which wait for servers, leases and
#: outages, and leave a third of two cores idle.
COMPUTING = ("bake", "quality", "upgrade")
#: The process that runs them, once it was started.
COMPUTERS: list[subprocess.Popen[bytes]] = []

#: The records that the tests of this run leave, from which the last session makes a table.
RECORDS: list[str] = []


def pytest(session: nox.Session, *arguments: str, workers: str = WORKERS) -> None:
    """Run tests of the template in parallel; tests in one group stay in one process."""
    record = recorded(session, session.name)
    record.unlink(missing_ok=True)
    options = ("-n", workers, "--dist", "loadgroup", "--durations=5", f"--record={record}")
    session.run("pytest", *options, *arguments, *session.posargs)


def recorded(session: nox.Session, name: str) -> Path:
    """Return the file for the record of a session, of which the summary will tell."""
    record = session.cache_dir.absolute() / f"{name}.json"
    RECORDS.append(f"{name}={record}")
    session.notify("summary", posargs=())
    return record


def output(session: nox.Session) -> Path:
    """Return the file for what the sessions print that wait for nothing."""
    return session.cache_dir.absolute() / "computed.log"


def install(session: nox.Session) -> None:
    """Install the tools at the versions that requirements.txt pins."""
    session.install("--require-hashes", "-r", "requirements.txt")


@nox.session
def lint(session: nox.Session) -> None:
    """Check the template's own code."""
    install(session)
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("mypy", *(path for path in CODE if path != "docs"))  # docs/ has dependencies of its own
    session.run("yamllint", "--strict", ".")


@nox.session(venv_backend="none")
def compute(session: nox.Session) -> None:
    """Start bake, quality and upgrade at the lowest priority, beside the sessions that follow."""
    command = ["nice", "-n", "19", sys.executable, "-m", "nox", "--session", *COMPUTING, "--", *session.posargs]
    for name in COMPUTING:
        recorded(session, name).unlink(missing_ok=True)
    with output(session).open("wb") as file:
        COMPUTERS.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file))
    atexit.register(COMPUTERS[0].terminate)


@nox.session(default=False)
def bake(session: nox.Session) -> None:
    """Generate projects: every choice, every allowed pair, every completion and refusal, hostile input."""
    install(session)
    modules = ("bake", "answers", "used_folders", "input", "docs", "sizes")
    pytest(session, *(f"tests/test_{module}.py" for module in modules), workers="2")


@nox.session(default=False)
def quality(session: nox.Session) -> None:
    """Check every variant with the linters that its owner runs."""
    install(session)
    modules = ("quality", "runtime", "contract", "startup")
    pytest(session, *(f"tests/test_{module}.py" for module in modules), workers="2")


@nox.session
def runtime(session: nox.Session) -> None:
    """Test the engine room as a library: in memory, with a worker, on every broker, pool and database."""
    install(session)
    pytest(session, "tests/test_library.py")


@nox.session
def projects(session: nox.Session) -> None:
    """Run the tests of generated projects, with uv and with pip, on the oldest and newest Python."""
    install(session)
    pytest(session, "tests/test_projects.py", "tests/test_owner.py")


@nox.session
def servers(session: nox.Session) -> None:
    """Run generated projects on real servers, which the tests start."""
    install(session)
    modules = ["choices", "servers", "context", "workflows", "schedules", "idempotency", "dead_letters", "settings"]
    modules += ["database", "web", "pages", "django", "watch", "alerts", "first_look", "sides", "logs"]
    modules += ["traces", "sentry", "notices", "flower"]
    pytest(session, *(f"tests/test_{module}.py" for module in modules), workers=MANY_WORKERS)


@nox.session
def faults(session: nox.Session) -> None:
    """Kill workers and servers, cut connections, fill up memory, and count lost tasks."""
    install(session)
    # The large loads keep both cores busy, and would compete for them.
    pytest(session, "tests/test_faults.py", workers="2" if os.environ.get("TEST_SIZE") == "full" else MANY_WORKERS)


@nox.session
def deploy(session: nox.Session) -> None:
    """Deploy generated projects with Docker, systemd and supervisor, check other files, and be a new user.

    What needs the root of another machine is here.
    """
    install(session)
    modules = ("docker", "hosts", "newcomer", "liveness", "drift", "kubernetes", "ci")
    pytest(session, *(f"tests/test_{module}.py" for module in modules))


@nox.session(default=False)
def upgrade(session: nox.Session) -> None:
    """Update a project that was made before `runtime/`."""
    install(session)
    pytest(session, "tests/test_upgrade.py", workers="2")


@nox.session(venv_backend="none")
def computed(session: nox.Session) -> None:
    """Wait for the sessions that `compute` has started, and show what they have printed."""
    for process in COMPUTERS:
        code = process.wait()
        print(output(session).read_text("utf-8"))
        if code:
            session.error(f"{', '.join(COMPUTING)}: one has failed; see above")


@nox.session(default=False, venv_backend="none")
def full(session: nox.Session) -> None:
    """Run every session in full size: all allowed pairs, 10,000 tasks for each fault; write docs/proof.md."""
    os.environ["TEST_SIZE"] = "full"
    for name, function in nox.registry.get().items():
        if function.default:
            session.notify(name)
    session.notify("summary", posargs=("--proof", "docs/proof.md"))


@nox.session(default=False, venv_backend="none")
def summary(session: nox.Session) -> None:
    """Show the time and the skipped tests of the other sessions, each of which requests this one."""
    session.run(sys.executable, "tests/summary.py", *session.posargs, *RECORDS)


@nox.session(default=False)
def benchmark(session: nox.Session) -> None:
    """Run one of the benchmarks, for example `nox -s benchmark -- startup.py --rounds 9`."""
    names = sorted(path.name for path in Path("benchmarks").glob("*.py"))
    if not session.posargs or session.posargs[0] not in names:
        session.error(f"give its name: nox -s benchmark -- {' or '.join(names)}")
    install(session)
    session.run("python", f"benchmarks/{session.posargs[0]}", *session.posargs[1:])


@nox.session(default=False)
def requirements(session: nox.Session) -> None:
    """Update the versions that requirements.txt pins."""
    command = ("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes")
    groups = ("--group", "dev", "--no-emit-index-url", "--no-emit-find-links")
    Path("requirements.txt").unlink(missing_ok=True)
    session.run(*command, *groups, "-o", "requirements.txt", external=True)
