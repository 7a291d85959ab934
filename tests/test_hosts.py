"""Projects on a host without containers: units under a booted systemd, programs under supervisor."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from supervisor.options import (  # type: ignore[import-untyped]
    ClientOptions,
    ServerOptions,
    UnhosedConfigParser,
)

from conftest import Copied, Edit, Installed, files
from machine import PROBE_INSIDE, Machine, install, machine, needed_root
from servers import PATIENCE, Fleet, Project, free_port, kill_group, members, needed, redis_server, wait_until
from support import run
from test_input import HOSTILE
from variants import Answers, Choice, load, pairwise, variant_id

Baked = Callable[[Mapping[str, Choice]], Path]

SLUG = "my-celery-project"
NAME = "; ".join(HOSTILE.values())

#: Parts of a variant that all run: the web server of flask has words in quotes in its command.
PARTS: Answers = {"framework": "flask", "systemd": True, "supervisor": True}
ALL: Answers = {**PARTS, "project_name": NAME, "project_slug": SLUG}

#: Highest exposure that `systemd-analyze security` may find, times ten.
EXPOSURE = 30

#: Where the linters are.
TOOLS = Path(sys.executable).parent

BUDGET = load()["_time_budget"]


# What needs no server


def named(number: int, answers: Answers) -> Answers:
    """Return a variant with a name that is hard to write."""
    texts = list(HOSTILE.values())
    return {**answers, "project_name": texts[7 * number % len(texts)], "project_slug": SLUG}


#: The variants of the pairwise set for such a host.
VARIANTS = [
    named(number, answers) for number, answers in enumerate(pairwise()) if answers["systemd"] or answers["supervisor"]
]


def short_id(answers: Answers) -> str:
    """Return a name for a test without the texts that are hard to write."""
    return variant_id({name: choice for name, choice in answers.items() if not name.startswith("project_")})


def variants(part: str) -> pytest.MarkDecorator:
    """Run a test on each variant with a part."""
    return pytest.mark.parametrize("answers", [answers for answers in VARIANTS if answers[part]], ids=short_id)


@pytest.fixture(scope="session")
def deploys(baked_part: Callable[..., Baked]) -> Baked:
    """Return a function that bakes what deploys a project, and no more."""
    return baked_part("Procfile", "deploy")


def lay_out(project: Path, folder: Path) -> list[str]:
    """Put the units of a project into a folder as its `install.sh` does, and return their names.

    The folder also has what they run, in place of /opt.
    """
    source = project / "deploy" / "systemd"
    for program in (".venv/bin/celery", "deploy/systemd/watch"):
        path = folder / SLUG / program
        path.parent.mkdir(parents=True)
        shutil.copy("/bin/true", path)
    units = [path for path in source.iterdir() if path.suffix in {".service", ".target", ".timer"}]
    workers = {f"{SLUG}-worker@{path.stem}.service": path for path in (source / "workers").iterdir()}
    targets = {unit.name: unit for unit in units} | {f"{name}.d/fleet.conf": path for name, path in workers.items()}
    for name, path in targets.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(path.read_text("utf-8").replace(f"/opt/{SLUG}", f"{folder}/{SLUG}"), "utf-8")
    return sorted([*(unit.name for unit in units if "@" not in unit.name), *workers])


def analyze(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run `systemd-analyze` on units in a folder."""
    return subprocess.run(
        [needed("systemd-analyze"), *words],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{folder}:"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )


def faults_of_units(folder: Path, units: Iterable[str]) -> str:
    """Return systemd's complaints about units; it exits with 0 even if it does not know a key."""
    return analyze(folder, "verify", "--man=no", *units).stdout


def is_exposed(folder: Path, unit: str) -> bool:
    """Whether a service may do more than it should."""
    result = analyze(folder, "security", "--offline=true", f"--threshold={EXPOSURE}", unit)
    assert "Overall exposure level" in result.stdout, result.stdout
    return result.returncode != 0


@variants("systemd")
def test_units_are_correct_and_confined(answers: Answers, deploys: Baked, tmp_path: Path) -> None:
    project = deploys(answers)
    units = lay_out(project, tmp_path / "units")
    workers = {unit.partition("@")[2].removesuffix(".service") for unit in units if "@" in unit}
    assert workers == Project(project).workers.keys()
    target = (tmp_path / "units" / f"{SLUG}.target").read_text("utf-8")
    wanted = set(re.findall(r"Wants=(\S+)", target))
    assert wanted == {*units} - {f"{SLUG}.target", f"{SLUG}-watch.service"}
    assert faults_of_units(tmp_path / "units", units) == ""
    services = [unit for unit in units if unit.endswith(".service")]
    assert not [unit for unit in services if is_exposed(tmp_path / "units", unit)]


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("worker@.service", "KillMode=mixed", "KilMode=mixed", "Unknown key 'KilMode'"),
        ("beat.service", "TimeoutStopSec=", "TimeoutStopSec=soon", "Failed to parse"),
        ("worker@general.service.d/fleet.conf", ".venv/bin/celery", ".venv/bin/selery", "is not executable"),
        ("watch.timer", "OnActiveSec=30", "OnActiveSec=", "lacks value setting"),
    ],
)
def test_a_broken_unit_is_found(file: str, old: str, new: str, fault: str, deploys: Baked, tmp_path: Path) -> None:
    units = lay_out(deploys(ALL), tmp_path / "units")
    path = tmp_path / "units" / f"{SLUG}-{file}"
    text = path.read_text("utf-8").replace("OnUnitInactiveSec=30\n", "")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    assert fault in faults_of_units(tmp_path / "units", units)


def test_a_unit_that_is_not_confined_is_found(deploys: Baked, tmp_path: Path) -> None:
    lay_out(deploys(ALL), tmp_path / "units")
    unit = f"{SLUG}-worker@general.service"
    assert not is_exposed(tmp_path / "units", unit)
    path = tmp_path / "units" / f"{SLUG}-worker@.service"
    path.write_text(re.sub(r"(?m)^(Protect|Private|Restrict|SystemCall).*$", "", path.read_text("utf-8")), "utf-8")
    assert is_exposed(tmp_path / "units", unit)


def shell_scripts(project: Path) -> list[Path]:
    """Return the shell scripts of a project."""
    return [path for path in files(project) if re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes())]


def check_scripts(scripts: Iterable[Path], folder: Path) -> None:
    """Let the linters judge shell scripts; `.editorconfig` of their project says how they are written."""
    paths = [str(path) for path in scripts]
    run([f"{TOOLS}/shellcheck", *paths], folder)
    run([f"{TOOLS}/shfmt", "--diff", *paths], folder)


@pytest.mark.parametrize("answers", [{}, {**PARTS, "kubernetes": True}], ids=variant_id)
def test_shell_scripts_are_clean(answers: Answers, baked: Baked) -> None:
    project = baked(answers)
    scripts = shell_scripts(project)
    assert [path for path in scripts if not os.access(path, os.X_OK)] == []
    assert project / "deploy" / "alive" in scripts
    check_scripts(scripts, project)


@pytest.mark.parametrize("text", ["cd $1", "if a; then\n b\nfi"])
def test_a_shell_script_with_a_fault_is_found(text: str, tmp_path: Path) -> None:
    script = tmp_path / "broken.sh"
    script.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    with pytest.raises(AssertionError, match=r"broken\.sh"):
        check_scripts([script], tmp_path)


class Asked:
    """Record the keys that supervisor reads from a configuration, since it ignores unknown keys silently."""

    def __init__(self, config: Path) -> None:
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.programs: dict[str, Any] = {}
        asked = self.keys

        class Listening(UnhosedConfigParser):  # type: ignore[misc]
            """A parser that remembers what it is asked for."""

            def saneget(self, section: str, option: str, *args: Any, **kwargs: Any) -> Any:
                """Return a value."""
                asked[section].add(option)
                return super().saneget(section, option, *args, **kwargs)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("supervisor.options.UnhosedConfigParser", Listening)
            server = ServerOptions()
            server.realize(["-c", str(config)], doc="")
            ClientOptions().realize(["-c", str(config)], doc="")
        for group in server.process_group_configs:
            self.programs.update({program.name: program for program in group.process_configs})

    def unknown(self, config: Path) -> list[str]:
        """Return the keys of a file that nothing asked for."""
        parser = UnhosedConfigParser()
        parser.read_string(config.read_text("utf-8"))
        return [
            f"[{section}] {key}"
            for section in parser.sections()
            for key, _ in parser.items(section, raw=True)
            if key not in self.keys[section]
        ]


def localized(project: Path, folder: Path, target: Path | None = None) -> Path:
    """Return a configuration that uses a folder and free ports: that of a project, or a copy."""
    config = project / "deploy" / "supervisor" / "supervisord.conf"
    folder.mkdir(exist_ok=True)
    text = re.sub(rf"/var/(lib|log)/{SLUG}", str(folder), config.read_text("utf-8"))
    text = re.sub(r'(?<=APP_METRICS_PORT=")\d+', lambda _: str(free_port()), text)
    target = target or config
    target.write_text(text, "utf-8")
    return target


@variants("supervisor")
def test_supervisor_knows_every_key_and_runs_the_procfile(answers: Answers, deploys: Baked, tmp_path: Path) -> None:
    project = deploys(answers)
    config = localized(project, tmp_path / "state", tmp_path / "supervisord.conf")
    asked = Asked(config)
    assert asked.unknown(config) == []
    lines = Project(project).deployed(answers)
    assert asked.programs.keys() - {"report_fatal"} == lines.keys()
    for name, line in lines.items():
        program = asked.programs[name]
        assert program.command == f'/bin/sh -c "exec .venv/bin/{line}"'
        assert (program.stopsignal, program.stopwaitsecs) == (signal.SIGTERM, BUDGET["shutdown_grace"])
        assert (program.stopasgroup, program.killasgroup) == (False, True)


def test_a_misspelt_key_of_supervisor_is_found(deploys: Baked, tmp_path: Path) -> None:
    config = localized(deploys(ALL), tmp_path / "state", tmp_path / "supervisord.conf")
    config.write_text(config.read_text("utf-8").replace("stopwaitsecs=", "stopwaitsec="), "utf-8")
    assert "[program:general] stopwaitsec" in Asked(config).unknown(config)


# A machine with systemd


#: Seconds after which the tasks of a dead worker run again here.
LEASE = 5

#: What the owner writes into the environment file. The io worker runs greenlets.
SETTINGS = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:6379/0",
    "CELERY_RESULT_BACKEND": "redis://127.0.0.1:6379/1",
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": str(LEASE),
    "APP_ADMIN_TOKEN": "0123456789abcdef" * 2,
    "APP_ARTIFACTS_URL": f"file:///var/lib/{SLUG}/artifacts",
    "APP_SMTP_HOST": "127.0.0.1",
    "IO_POOL": "gevent",
    "IO_CONCURRENCY": "20",
    "CELERY_WORKER_INCLUDE": "probe",
    "PROBE_FILE": f"/var/lib/{SLUG}/records",
    "PYTHONPATH": PROBE_INSIDE,
}

#: The watch looks every second, at a file that may be six seconds old.
HASTY: tuple[Edit, ...] = (
    ("deploy/alive", "allowed=", "allowed=6 #"),
    ("deploy/systemd/*-watch.timer", "=30", "=1"),
    ("deploy/systemd/*-watch.timer", "AccuracySec=5", "AccuracySec=1"),
)


class Host:
    """A machine on which the project of `ALL` is to be installed.

    Args:
        booted: The machine.
    """

    def __init__(self, booted: Machine) -> None:
        self.run = booted.run
        self.path = booted.path
        self.show = booted.show

    def script(self, name: str, *arguments: str) -> str:
        """Run a script of the project."""
        return self.run(f"/opt/{SLUG}/deploy/systemd/{name}", *arguments)

    def configure(self) -> None:
        """Write the settings, as the owner does."""
        lines = "".join(f"{name}={value}\n" for name, value in SETTINGS.items())
        with self.path(f"/etc/{SLUG}/env").open("a", encoding="utf-8") as file:
            file.write(lines)

    def states(self) -> set[tuple[str, ...]]:
        """Return how the units of the project are loaded, and whether they are active, as far as systemd knows them."""
        command = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", f"{SLUG}*")
        return {tuple(line.split()[1:3]) for line in self.run(*command).splitlines()}

    def start(self, *names: str) -> None:
        """Install the project, and start some of its units alone."""
        self.script("install.sh")
        self.configure()
        self.run("systemctl", "start", *names)
        for name in names:
            if name.endswith(".service"):
                self.wait(partial(self.is_ready, name), f"{name} is ready")

    def is_ready(self, unit: str) -> bool:
        """Whether a unit works since its last start."""
        lines = self.run("journalctl", f"_SYSTEMD_INVOCATION_ID={self.value(unit, 'InvocationID')}", "--no-pager")
        return re.search(r" ready\.|beat: Starting|Listening at", lines) is not None

    def wait(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        """Wait for a condition, or fail with the end of the journal."""
        wait_until(condition, what, timeout, lambda: self.run("journalctl", "--no-pager", "--lines=150"))

    def value(self, unit: str, name: str) -> str:
        """Return a property of a unit."""
        return self.show(unit, name)[name]

    def send(self, seconds: float, queue: str = "default") -> str:
        """Send a task that takes some time, by the script for any command; return its id."""
        call = ("call", "probe.sleep", "--args", f"[{seconds}]", "--queue", queue)
        return self.script("run", "celery", "-A", SLUG.replace("-", "_"), *call).strip()

    def seen(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the records of the probe that have these values."""
        file = self.path(SETTINGS["PROBE_FILE"])
        text = file.read_text("utf-8") if file.exists() else ""
        entries = [json.loads(line) for line in text.splitlines() if line.endswith("}")]
        return [entry for entry in entries if wanted.items() <= entry.items()]

    def begins(self, task_id: str, times: int = 1) -> None:
        """Wait until a task has started so often."""
        self.wait(lambda: len(self.seen(event="start", id=task_id)) >= times, f"task {task_id} starts")

    def ends(self, task_id: str) -> None:
        """Wait until a task has ended well."""
        self.wait(lambda: self.seen(event="end", id=task_id, state="SUCCESS"), f"task {task_id} ends")

    def signal(self, unit: str, number: int) -> None:
        """Send a signal to the main process of a unit."""
        self.run("systemctl", "kill", "--kill-whom=main", f"--signal={number}", unit)

    def tree(self) -> dict[str, bytes]:
        """Return what is in the folders in which a project is installed."""
        roots = [self.path(path) for path in ("/etc", "/opt", "/run/systemd", f"/run/{SLUG}", "/var/lib", "/usr/local")]
        # What systemd keeps about units that run, not about what is installed.
        own = re.compile(r"/run/systemd/|/var/lib/(systemd|redis|private)/|\.cache$|/var/lib/dbus")
        found = (path for root in roots for path in root.rglob("*") if path.is_symlink() or path.is_file())
        return {
            str(path): b"" if path.is_symlink() else path.read_bytes() for path in found if not own.search(str(path))
        }


@contextmanager
def host(copied: Copied, shared: Path, tmp_path: Path, *edits: Edit) -> Iterator[Host]:
    """Boot a machine that has the project of `ALL` in its place, and a Redis; nothing is installed yet."""
    needed_root()
    folder = copied(ALL, tmp_path / "project")
    for path, old, new in edits:
        (file,) = folder.glob(path)
        text = file.read_text("utf-8")
        assert old in text, f"{path} has no {old!r}"
        file.write_text(text.replace(old, new), "utf-8")
    with FileLock(shared / "machine.lock"):
        environment = shared / "machine"
        if not environment.exists():
            install(folder, f"/opt/{SLUG}", "gevent")
            shutil.copytree(folder / ".venv", environment, symlinks=True)
    if not (folder / ".venv").exists():
        shutil.copytree(environment, folder / ".venv", symlinks=True)
    with machine(tmp_path / "console", {f"/opt/{SLUG}": folder}) as booted:
        booted.run("systemctl", "start", "redis-server")
        yield Host(booted)


WORKER = f"{SLUG}-worker@general.service"
TARGET = f"{SLUG}.target"


def test_the_target_runs_everything_stops_it_clean_and_is_gone_after_uninstall(
    copied: Copied, shared: Path, tmp_path: Path
) -> None:
    with host(copied, shared, tmp_path) as debian:
        clean = debian.tree()
        said = debian.script("install.sh")
        assert "Not started" in said
        assert debian.value(TARGET, "ActiveState") == "inactive"
        assert debian.run("stat", "--format=%a %U %G", f"/etc/{SLUG}/env").split() == ["640", "root", SLUG]
        debian.configure()
        said = debian.script("install.sh")
        assert f"Started {TARGET}" in said
        project = Project(tmp_path / "project" / SLUG)
        others, workers = ("beat", "exporter", "web"), [f"worker@{name}" for name in project.workers]
        units = [f"{SLUG}-{name}.service" for name in (*others, *workers)]
        for unit in units:
            debian.wait(partial(debian.is_ready, unit), f"{unit} is ready")
        assert ("loaded", "active") in debian.states()
        for queues in project.workers.values():
            for queue in queues:
                debian.ends(debian.send(0.1, queue))
        assert debian.value(WORKER, "Description") == f"{NAME}: worker general"
        assert debian.value(WORKER, "MemoryMax") == str(load()["_resources"]["general"]["memory"] * 2**20)
        look = "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8000/health/live').status)"
        assert debian.run("python3", "-c", look).strip() == "200"
        for name in ("beat", "exporter", *project.workers):
            port = load()["_metrics_ports"][name]
            look = f"from urllib.request import urlopen; print(urlopen('http://127.0.0.1:{port}/metrics').read())"
            assert "celery_" in debian.run("python3", "-c", look), name
        signs = [f"/run/{SLUG}/{SLUG}-{name}/alive" for name in ("beat", *workers)]
        debian.wait(lambda: all(debian.path(path).exists() for path in signs), "all touch their liveness files")

        before = debian.tree(), [debian.value(unit, "MainPID") for unit in units]
        debian.script("install.sh")
        assert before == (debian.tree(), [debian.value(unit, "MainPID") for unit in units])

        task_id = debian.send(20)
        debian.begins(task_id)
        debian.run("systemctl", "stop", TARGET)
        assert debian.seen(event="end", id=task_id, state="SUCCESS"), "the stop did not wait"
        for unit in units:
            shown = debian.show(unit, "ActiveState", "Result", "ExecMainStatus")
            assert shown == {"ActiveState": "inactive", "Result": "success", "ExecMainStatus": "0"}, unit
        assert list(debian.path(f"/run/{SLUG}").iterdir()) == []

        debian.script("uninstall.sh")
        debian.script("uninstall.sh")
        left = {path.partition("/root")[2] for path in debian.tree().keys() - clean.keys()}
        assert {path for path in left if not path.startswith(f"/var/lib/{SLUG}/")} == {f"/etc/{SLUG}/env"}
        # systemd forgets units whose files are gone when it likes, and lists them as not found until then.
        debian.wait(lambda: debian.states() <= {("not-found", "inactive")}, "no unit is loaded, active or failed")
        debian.script("uninstall.sh", "--purge")
        assert debian.tree().keys() == clean.keys()
        debian.run("id", SLUG, code=1)


def test_a_worker_that_is_killed_starts_again_and_runs_the_task_that_it_held(
    copied: Copied, shared: Path, tmp_path: Path
) -> None:
    with host(copied, shared, tmp_path) as debian:
        debian.start(WORKER)
        task_id = debian.send(4)
        debian.begins(task_id)
        debian.signal(WORKER, signal.SIGKILL)
        debian.begins(task_id, times=2)
        debian.ends(task_id)
        assert debian.value(WORKER, "NRestarts") == "1"


def test_the_watch_ends_what_hangs_and_nothing_that_starts_or_stops(
    copied: Copied, shared: Path, tmp_path: Path
) -> None:
    silent = f"{SLUG}-worker@cpu.service"
    with host(copied, shared, tmp_path, *HASTY) as debian:
        override = debian.path(f"/run/systemd/system/{silent}.d")
        override.mkdir(parents=True)
        (override / "zzz.conf").write_text("[Service]\nExecStart=\nExecStart=/bin/sleep infinity\n")
        debian.start(WORKER)
        debian.run("systemctl", "start", silent, f"{SLUG}-watch.timer")
        process = debian.value(WORKER, "MainPID")
        debian.signal(WORKER, signal.SIGSTOP)
        debian.wait(lambda: debian.value(WORKER, "MainPID") not in ("0", process), "the worker starts again")
        debian.wait(partial(debian.is_ready, WORKER), "the worker is ready")
        debian.ends(debian.send(0.1))
        assert debian.value(WORKER, "NRestarts") == "1"
        journal = debian.run("journalctl", "--no-pager", f"--unit={SLUG}-watch.service")
        assert re.search(rf"alive was last touched \d+ s ago, which is more than 6 s\n.*Killing {WORKER}", journal), (
            journal
        )

        # A unit that has not touched its file yet is left alone for long, but not for ever.
        assert debian.value(silent, "NRestarts") == "0"
        debian.run("touch", "--date=6 minutes ago", f"/run/{SLUG}/{silent.removesuffix('.service')}")
        debian.wait(lambda: debian.value(silent, "NRestarts") == "1", "the silent worker is killed")

        # A unit that is stopping is left alone, even if it hangs: systemd itself ends it in time.
        task_id = debian.send(2)
        debian.begins(task_id)
        debian.run("systemctl", "stop", "--no-block", WORKER)
        debian.wait(lambda: debian.value(WORKER, "SubState") == "stop-sigterm", "the worker stops")
        debian.signal(WORKER, signal.SIGSTOP)
        sign = f"/run/{SLUG}/{WORKER.removesuffix('.service')}/alive"
        debian.wait(lambda: time.time() - debian.path(sign).stat().st_mtime > 9, "its liveness file is old")
        debian.signal(WORKER, signal.SIGCONT)
        debian.wait(lambda: debian.value(WORKER, "ActiveState") == "inactive", "the worker has stopped")
        assert debian.show(WORKER, "Result", "NRestarts") == {"Result": "success", "NRestarts": "1"}
        debian.ends(task_id)


# supervisor


def test_supervisor_runs_the_fleet_stops_it_clean_and_reports_what_it_gave_up(
    copied: Copied, installed: Installed, tmp_path: Path
) -> None:
    environment = installed(PARTS).environment
    folder = copied(ALL, tmp_path / "project")
    (folder / ".venv").symlink_to(environment)
    project = Project(folder, environment)
    state = tmp_path / "state"
    config = localized(folder, state)
    alert = tmp_path / "alert"
    alert.write_text(f'#!/bin/sh\necho "$#: $2" >>"{tmp_path}/alerts"\necho told\nexit 3\n')
    alert.chmod(0o755)
    with config.open("a", encoding="utf-8") as file:
        file.write(f"\n[program:broken]\ncommand=/bin/false\nstartretries=0\nstdout_logfile={state}/broken.log\n")
    with redis_server(tmp_path) as url:
        fleet = Fleet(project, tmp_path, url)
        settings = {name: fleet.variables[name] for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")}
        settings |= {name: value for name, value in SETTINGS.items() if name.startswith("APP_")}
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()), "utf-8")
        variables = {name: value for name, value in fleet.variables.items() if name not in {*settings, "APP_ENV"}}
        supervisord = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--configuration", str(config)],
            cwd="/",
            env={**variables, "LC_ALL": "C", "WEB_PORT": "0", "ALERT_COMMAND": f"'{alert}' now"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )

        def logs() -> str:
            return "\n".join(f"--- {path}:\n{path.read_text('utf-8')[-3000:]}" for path in state.glob("*.log"))

        def log(name: str) -> str:
            path = state / f"{name}.log"
            return path.read_text("utf-8") if path.exists() else ""

        def wait(condition: Callable[[], object], what: str) -> None:
            assert supervisord.poll() is None, logs()
            wait_until(condition, what, explain=logs)

        try:
            for name in project.deployed({}):
                entered = f"success: {name} entered RUNNING state"
                wait(lambda entered=entered: entered in log("supervisord"), entered)  # type: ignore[misc]
            # gunicorn handles SIGTERM only after it has imported the application.
            wait(lambda: "Listening at" in log("web"), "the web listens")
            queues = [queue for queues in project.workers.values() for queue in queues]
            sent = [fleet.send("probe.sleep", 0.1, options={"queue": queue}) for queue in queues]
            for task_id in sent:
                wait(partial(fleet.has_ended, task_id), "a task ends")
            sentence = "broken is FATAL: supervisor has stopped trying to start it; see its log"
            alerts = tmp_path / "alerts"
            wait(lambda: alerts.exists() and alerts.read_text("utf-8"), "the command of the owner runs")
            assert alerts.read_text("utf-8") == f"2: {sentence}\n"
            wait(lambda: "ALERT_COMMAND failed" in log("report_fatal"), "a failure is told")
            assert log("report_fatal").startswith(f"{sentence}\ntold\n")

            task_id = fleet.send("probe.sleep", 5)
            wait(lambda: fleet.seen(event="start", id=task_id), "a task starts")
            supervisord.terminate()
            assert supervisord.wait(PATIENCE) == 0
            assert fleet.seen(event="end", id=task_id, state="SUCCESS")
            stopped = dict(re.findall(r"stopped: (\w+) \((.*)\)", log("supervisord")))
            names = project.deployed({})
            assert {name: stopped.get(name) for name in names} == dict.fromkeys(names, "exit status 0")
        finally:
            groups = [int(pid) for pid in re.findall(r"with pid (\d+)", log("supervisord"))]
            left = [line for group in groups for line in members(group)]
            for group in groups:
                kill_group(group)
            kill_group(supervisord.pid)
            supervisord.wait()
            fleet.close()
        assert left == []
