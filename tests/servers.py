"""Real servers, and processes of generated projects that use them.

Every process leads a group of its own, so that ending the group ends its children too.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn
from urllib.parse import urlsplit

import pytest
from uv import find_uv_bin

from summary import REMEDY

#: Modules that the processes of a project load in addition to its own.
PROBE = Path(__file__).parent / "probe"

#: Seconds; generous, because other tests keep the cores busy.
PATIENCE = 90

#: Seconds in which a process without work ends after SIGTERM. A signal in the very moment in which a
#: task ends makes billiard wait for 30 (billiard/pool.py, `_ensure_messages_consumed`).
STOP_TIME = 45


#: How to get things that are not packages.
MADE = "as root, .ci/run makes it"

#: The packages of Debian with programs of other names.
PACKAGES = {
    "amtool": "prometheus-alertmanager",
    "createdb": "postgresql",
    "epmd": "rabbitmq-server",
    "initdb": "postgresql",
    "iptables-restore": "iptables",
    "iptables-save": "iptables",
    "pg_isready": "postgresql",
    "postgres": "postgresql",
    "promtool": "prometheus",
    "psql": "postgresql",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
}


#: Ports below those that Linux gives to outgoing connections: one of these could be taken before
#: the server for which it was chosen has started.
PORTS = range(15000, 32768)

#: Tests of other processes look for ports too, before a server listens on this one. The UDP port of
#: the same number shows that it is taken; the last ones are kept.
_claims: deque[socket.socket] = deque()


def wait_until(
    condition: Callable[[], object], what: str, timeout: float = PATIENCE, explain: Callable[[], str] = str
) -> None:
    """Wait for a condition, or fail with the name of what did not happen, and an explanation."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}\n{explain()}"
        time.sleep(0.05)


def settled(count: Callable[[], int], seconds: float = 3) -> int:
    """Wait until a number has stayed the same for some time, and return it."""
    seen, since = count(), time.monotonic()

    def stays() -> bool:
        nonlocal seen, since
        if (now := count()) != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(stays, f"a number stays the same for {seconds:g} s", PATIENCE + seconds)
    return seen


def missing(what: str, remedy: str) -> NoReturn:
    """Skip a test because something is missing, or fail it in CI; say what it is and how to get it."""
    reason = f"{what}{REMEDY}{remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def needed(program: str, root: str = "") -> str:
    """Return the path of a program, below a root; without it, skip the test, or fail it in CI."""
    # On Debian, PostgreSQL and the RabbitMQ that any user may start are not on the PATH.
    postgresql = map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))
    folders = ["/usr/lib/rabbitmq/bin", *postgresql, *os.environ["PATH"].split(":"), *os.defpath.split(":")]
    path = shutil.which(program, path=":".join(root + folder for folder in folders))
    if path is None:
        remedy = MADE if root else f"apt-get install {PACKAGES.get(program, program)}"
        missing(f"{program}{root and f' in {root}'}", remedy)
    return path.removeprefix(root)


def free_port() -> int:
    """Return a port of this machine that nothing uses, and that no connection and no other test is given."""
    while True:
        port = random.choice(PORTS)  # noqa: S311
        claim = socket.socket(type=socket.SOCK_DGRAM)
        with suppress(OSError):
            claim.bind(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)):
                _claims.append(claim)
                if len(_claims) > 100:
                    _claims.popleft().close()
                return port
        claim.close()


def accepts(port: int) -> bool:
    """Whether a server listens on a port of this machine."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


#: Root of a Debian with newer servers than this machine's own: `.ci/run` makes one.
NEWER_ROOT = os.environ.get("NEWER_SERVERS", "")

#: Where a folder of this machine appears in that root.
INSIDE = "/srv"

#: Enter the root, with a folder of this machine in it; the mounts end with the process.
ENTER = f"""
mount --bind "$1" "$0{INSIDE}" && mount --rbind /proc "$0/proc" && mount --rbind /dev "$0/dev" || exit
shift
exec chroot "$0" "$@"
"""


@dataclass(frozen=True)
class Place:
    """Where servers are installed: on this machine, or below the root of a newer Debian.

    Args:
        root: The root; empty for this machine.
    """

    root: str = ""

    def command(self, folder: Path, program: str, *arguments: object) -> list[str]:
        """Return the command line of a program whose arguments name its folder as `inside` does."""
        words = [str(argument) for argument in arguments]
        if not self.root:
            return [needed(program), *words]
        binary = needed(program, self.root)
        return ["unshare", "--mount", "sh", "-c", ENTER, self.root, str(folder), binary, *words]

    def inside(self, folder: Path) -> str:
        """Return the path of a folder as the server sees it."""
        return INSIDE if self.root else str(folder)


def newer() -> Place:
    """Return the place with newer servers; without it, skip the test, or fail it in CI."""
    if not NEWER_ROOT:
        missing("the Debian 13 that NEWER_SERVERS names", MADE)
    return Place(NEWER_ROOT)


@contextmanager
def quick_folder() -> Iterator[Path]:
    """Yield a folder for a server's data: in memory, if this machine has such a place.

    Servers wait until the disk has each message. What they have written outlives a `kill -9` in memory, too.
    """
    memory = Path("/dev/shm")  # noqa: S108
    place = memory if os.access(memory, os.W_OK) else None
    with TemporaryDirectory(prefix="celery-template-", dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextmanager
def redis_server(folder: Path, place: Place | None = None) -> Iterator[str]:
    """Run a Redis for this test, and yield its URL without a database."""
    place, port = place or Place(), free_port()
    options = {"port": port, "bind": "127.0.0.1", "dir": place.inside(folder), "save": ""}
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    command = place.command(folder, "redis-server", *arguments)
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True) as server:
        try:
            wait_until(lambda: accepts(port), "Redis accepts connections")
            yield f"redis://127.0.0.1:{port}"
        finally:
            kill_group(server.pid)


@contextmanager
def rabbitmq_server(folder: Path, config: Path, place: Place | None = None) -> Iterator[str]:
    """Run a RabbitMQ for this test, and yield its URL, which ends with the virtual host.

    Args:
        folder: Its folder.
        config: Its configuration, that of a generated project.
        place: Where it is installed.
    """
    place, port, epmd_port = place or Place(), free_port(), free_port()
    inside = place.inside(folder)
    (folder / "plugins").write_text("[].\n", "utf-8")
    shutil.copy(config, folder / "rabbitmq.conf")
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": inside,  # the Erlang cookie
        "LANG": "C.UTF-8",
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_CONFIG_FILE": f"{inside}/rabbitmq.conf",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{inside}/plugins",
        "RABBITMQ_LOG_BASE": inside,
        "RABBITMQ_MNESIA_BASE": f"{inside}/mnesia",
        "RABBITMQ_NODENAME": f"test-{port}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_PID_FILE": f"{inside}/pid",
    }
    (folder / "environment").write_text(json.dumps(environment), "utf-8")
    # Start the daemon that names Erlang's nodes first, so that the test can end it.
    epmd = place.command(folder, "epmd", "-port", epmd_port, "-address", "127.0.0.1")
    started: list[subprocess.Popen[bytes]] = []
    with (folder / "output").open("wb") as output:
        try:
            explain = partial((folder / "output").read_text, "utf-8", "replace")
            for command in (epmd, place.command(folder, "rabbitmq-server")):
                process = subprocess.Popen(
                    command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
                )
                started.append(process)
                wait_until(lambda: accepts(epmd_port), "epmd accepts connections", explain=explain)
            wait_until(lambda: speaks_amqp(port), "RabbitMQ accepts connections", explain=explain)
            yield f"amqp://guest:guest@127.0.0.1:{port}//"
        finally:
            for process in reversed(started):
                kill_group(process.pid)
                process.wait()


def rabbitmqctl(folder: Path, *arguments: str) -> None:
    """Run a command of RabbitMQ's administrators, for the server that was started in a folder."""
    environment = json.loads((folder / "environment").read_text("utf-8"))
    subprocess.run([needed("rabbitmqctl"), *arguments], env=environment, check=True, capture_output=True)


def speaks_amqp(port: int) -> bool:
    """Whether a server answers the header of AMQP 0-9-1."""
    with socket.socket() as client:
        client.settimeout(1)
        try:
            client.connect(("127.0.0.1", port))
            client.sendall(b"AMQP\0\0\x09\x01")
            return bool(client.recv(1))
        except OSError:
            return False


def rabbitmq_version(url: str) -> str:
    """Return the version in the greeting of a RabbitMQ."""
    port = urlsplit(url).port or 0
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"AMQP\0\0\x09\x01")
        match = re.search(rb"versionS\0\0\0.([\d.]+)", client.recv(4096))
    assert match
    return match[1].decode()


@dataclass(frozen=True)
class PostgreSQL:
    """A PostgreSQL for this test run.

    Args:
        port: Where it listens.
    """

    port: int

    def run(self, program: str, *arguments: str) -> str:
        """Run one of PostgreSQL's own clients, and return its output."""
        command = [needed(program), "--host=127.0.0.1", f"--port={self.port}", "--username=app", *arguments]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout

    def create(self, name: str) -> str:
        """Make an empty database and return its URL."""
        self.run("createdb", name)
        return f"postgresql://app@127.0.0.1:{self.port}/{name}"

    def query(self, url: str, statement: str) -> list[list[str]]:
        """Return the rows of a statement."""
        output = self.run("psql", "--no-align", "--tuples-only", f"--dbname={urlsplit(url).path[1:]}", "-c", statement)
        return [line.split("|") for line in output.splitlines()]

    @contextmanager
    def away(self, url: str) -> Iterator[None]:
        """Make a database refuse all connections, and end the existing ones."""
        name, elsewhere = urlsplit(url).path[1:], url.replace(urlsplit(url).path, "/postgres")
        self.query(elsewhere, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self.query(elsewhere, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608
        yield
        self.query(elsewhere, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@contextmanager
def postgresql_server(*options: str) -> Iterator[PostgreSQL]:
    """Run a PostgreSQL; as root, which it refuses, under the user that its package has made."""
    port, as_root = free_port(), os.geteuid() == 0
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if as_root else []
    # Not below pytest's folder, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="postgresql-", dir="/var/tmp") as name:
        if as_root:
            shutil.chown(name, "postgres")
        data = f"{name}/data"
        initialise = [needed("initdb"), "--pgdata", data, "--username=app", "--auth=trust", "--no-sync"]
        subprocess.run([*user, *initialise], check=True, capture_output=True, cwd=name)
        settings = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        arguments = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        command = [*user, needed("postgres"), "-D", data, *arguments, *options]
        with subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=name, start_new_session=True
        ) as server:
            try:
                ready = [needed("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={port}"]
                wait_until(lambda: subprocess.run(ready, check=False).returncode == 0, "PostgreSQL accepts connections")
                yield PostgreSQL(port)
            finally:
                kill_group(server.pid)
                server.wait()


class Canary:
    """A server that nobody should call; it counts connections and answers nothing."""

    def __init__(self) -> None:
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        threading.Thread(target=self.count, daemon=True).start()

    def count(self) -> None:
        """Count until the socket is closed."""
        while True:
            try:
                self.socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1


class Inbox:
    """Keep the mail that arrives at a port: a handler of aiosmtpd."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.mails: list[Message] = []

    async def handle_DATA(self, server: object, session: object, envelope: Any) -> str:  # noqa: N802
        """Keep a mail."""
        self.mails.append(message_from_bytes(envelope.original_content))
        return "250 OK"

    def to(self, address: str) -> list[Message]:
        """Return the mails to an address."""
        return [mail for mail in list(self.mails) if mail["To"] == address]


def processes(needle: str) -> list[str]:
    """Return the group, state and command of the processes whose line in `ps` contains a text."""
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,stat=,args="], capture_output=True, encoding="utf-8", check=True
    )
    rows = [line.split(maxsplit=3) for line in listing.stdout.splitlines()]
    return [" ".join(row) for row in rows if len(row) == 4 and not row[2].startswith("Z") and needle in " ".join(row)]


def members(group: int) -> list[str]:
    """Return the processes of a group that still run."""
    return [line for line in processes(f" {group} ") if line.split()[1] == str(group)]


def is_gone(group: int) -> bool:
    """Whether nothing of a group runs."""
    return not members(group)


def kill_group(group: int) -> None:
    """Kill a group of processes."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


#: What limits memory, and swap, in version 1 and 2 of control groups; the order matters.
LIMITS = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max", "memory.swap.max")


@contextmanager
def memory_limit(megabytes: int) -> Iterator[str]:
    """Yield the beginning of a shell command whose processes share this much memory, as in a container."""
    root = Path("/sys/fs/cgroup")
    first = (root / "memory" / "cgroup.procs").exists()
    group = (root / "memory" if first else root) / f"celery-template-{os.getpid()}-{time.monotonic_ns()}"
    try:
        if not first:
            (root / "cgroup.subtree_control").write_text("+memory")
        group.mkdir()
        for file in filter(Path.exists, (group / name for name in LIMITS)):
            file.write_text("0" if "swap" in file.name else str(megabytes * 2**20))
    except OSError as error:
        missing(
            "a control group that limits memory", f"run the tests as root, where /sys/fs/cgroup is writable ({error})"
        )
    try:
        yield f"sh -c 'echo $$ > {group}/cgroup.procs && exec \"$@\"' limited"
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "nothing is left in the control group")
        group.rmdir()


@dataclass(frozen=True)
class Project:
    """A generated project and the environment into which it is installed.

    Args:
        folder: Its folder.
        environment: Folder of the virtual environment.
    """

    folder: Path
    environment: Path = Path()

    @property
    def package(self) -> str:
        """Return the name of its package."""
        return next((self.folder / "src").iterdir()).name

    @property
    def lines(self) -> dict[str, str]:
        """Return the lines of its Procfile."""
        return dict(re.findall(r"(?m)^(\w+): (.+)$", (self.folder / "Procfile").read_text("utf-8")))

    def deployed(self, answers: Mapping[str, object]) -> dict[str, str]:
        """Return the commands of what a deployment runs: the lines of the Procfile, and perhaps the exporter."""
        command = re.sub(" worker .*", " exporter", self.lines["general"])
        return {**self.lines, **({"exporter": command} if answers.get("prometheus", True) else {})}

    @property
    def keeps_results(self) -> bool:
        """Whether results are in a Redis."""
        return "CELERY_RESULT_BACKEND=redis:" in (self.folder / ".env.example").read_text("utf-8")

    @property
    def workers(self) -> dict[str, list[str]]:
        """Return its workers and the queues that each consumes."""
        found = {name: re.search(r"--queues (\S+)", line) for name, line in self.lines.items()}
        return {name: match[1].split(",") for name, match in found.items() if match}

    def variables(self, cwd: Path) -> dict[str, str]:
        """Return the variables of a process of this project: nothing comes from the caller's shell."""
        return {
            "APP_ENV": "development",
            "HOME": str(cwd),
            "PATH": f"{self.environment / 'bin'}:{os.defpath}",
            "PYTHONPATH": str(PROBE),
            # Outside of the project, and shared with others: they have most libraries in common.
            "PYTHONPYCACHEPREFIX": str(self.environment.parent.parent / "bytecode"),
            "PYTHONUNBUFFERED": "1",
            "PYTHONWARNINGS": "default",
            # The default of two projects is the same.
            "WEB_PORT": str(free_port()),
        }


class Publisher:
    """The app of a project in a process of its own, which sends tasks and looks at results."""

    def __init__(self, project: Project, cwd: Path, variables: Mapping[str, str]) -> None:
        self.errors = cwd / "publisher.log"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [project.environment / "bin" / "python", "-m", "publisher", project.package],
                cwd=cwd,
                env=dict(variables),
                encoding="utf-8",
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )

    def __call__(self, command: str, *arguments: object) -> Any:
        """Return the answer to a command of `publisher.py`."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([command, *arguments]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the publisher ended:\n{self.errors.read_text('utf-8')}"
        return json.loads(answer)

    def close(self) -> None:
        """End it."""
        kill_group(self.process.pid)
        self.process.communicate()


class Fleet:
    """Processes of a project, on servers of their own, with the probe loaded.

    Args:
        project: The project.
        cwd: Folder in which they run, and where their logs are.
        redis_url: URL of the Redis for results, and for queues if no variable names others.
        variables: Variables of all processes besides these URLs, or in their place.
    """

    def __init__(self, project: Project, cwd: Path, redis_url: str, **variables: str) -> None:
        self.project = project
        self.cwd = cwd
        self.variables = {
            **project.variables(cwd),
            "CELERY_BROKER_URL": f"{redis_url}/0",
            **({"CELERY_RESULT_BACKEND": f"{redis_url}/1"} if project.keeps_results else {}),
            "CELERY_WORKER_INCLUDE": "probe",
            "PROBE_FILE": str(cwd / "records"),
            **variables,
        }
        self.records = cwd / "records"
        self.records.touch()
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.sent: set[str] = set()
        self.ask = Publisher(project, cwd, self.variables)

    def start(self, *names: str, line: str = "", **variables: str) -> None:
        """Start processes by their lines of the Procfile and wait until they are ready.

        Args:
            names: Their names, in the Procfile if no line is given.
            line: A command in place of that of the Procfile.
            variables: Variables for them alone.
        """
        for name in names:
            with (self.cwd / f"{name}.log").open("wb") as log:
                self.processes[name] = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {line or self.project.lines[name]}"],
                    cwd=self.cwd,
                    env={**self.variables, "NAME": name, **variables},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
        for name in names:
            self.wait(partial(self.is_ready, name), f"{name} is ready")

    def is_ready(self, name: str) -> bool:
        """Whether a process works; fail if it has ended."""
        assert self.processes[name].poll() is None, f"{name} did not start:\n{self.tails()}"
        return (
            re.search(r" ready\.|beat: Starting|Uvicorn running|Listening at|Visit me at", self.log(name)) is not None
        )

    def start_general(self, *names: str, **variables: str) -> None:
        """Start general workers under names of their own."""
        line = self.project.lines["general"]
        assert "--hostname general@%h" in line
        self.start(*names, line=line.replace("--hostname general@", "--hostname $NAME@"), **variables)

    def log(self, name: str) -> str:
        """Return what a process wrote."""
        return (self.cwd / f"{name}.log").read_text("utf-8", "replace")

    def tails(self) -> str:
        """Return the state of each process, and the end of its log."""
        codes = {name: process.poll() for name, process in self.processes.items()}
        return "\n".join(
            f"--- {name}, {'running' if code is None else f'ended with {code}'}:\n{self.log(name)[-10_000:]}"
            for name, code in codes.items()
        )

    def wait(self, condition: Callable[[], object], what: str, timeout: float = PATIENCE) -> None:
        """Wait for a condition, or fail with the ends of the logs."""
        wait_until(condition, what, timeout, self.tails)

    def send(self, name: str, *args: object, options: Mapping[str, object] | None = None, **kwargs: Any) -> str:
        """Send a task and return its id."""
        task_id = str(self.ask("send", name, args, kwargs, options or {}))
        self.sent.add(task_id)
        return task_id

    def seen(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the records of the probe that have these values, in their order."""
        complete, _, _ = self.records.read_text("utf-8").rpartition("\n")  # the last may be being written
        entries = [json.loads(entry) for entry in complete.splitlines()]
        return [entry for entry in entries if wanted.items() <= entry.items()]

    def has_ended(self, task_id: str) -> bool:
        """Whether a task has ended, other than for a retry."""
        return any(entry["state"] != "RETRY" for entry in self.seen(event="end", id=task_id))

    def ends(self, *task_ids: str) -> None:
        """Wait until tasks have ended."""
        for task_id in task_ids:
            self.wait(partial(self.has_ended, task_id), f"task {task_id} ends")

    def stop(self, *names: str, timeout: float = STOP_TIME) -> None:
        """End processes with one SIGTERM each, and check that they exit with 0 and leave no children."""
        for name in names:
            self.processes[name].terminate()
        deadline = time.monotonic() + timeout
        for name in names:
            process = self.processes[name]
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            left = "\n".join(members(process.pid))
            # uvicorn raises the signal again when it has shut down.
            allowed = (0, -signal.SIGTERM) if "uvicorn" in str(process.args) else (0,)
            assert process.poll() in allowed, (
                f"{name} ended with {process.poll()} within {timeout:g} s:\n{left}\n{self.tails()}"
            )
            wait_until(partial(is_gone, process.pid), f"no child of {name} is left", 5, self.tails)

    def kill(self, name: str) -> None:
        """Kill a process and its children."""
        kill_group(self.processes[name].pid)
        self.processes[name].wait()

    def close(self) -> None:
        """End everything."""
        for name in self.processes:
            self.kill(name)
        self.ask.close()


def entries(log: str) -> list[str]:
    """Split a log into its entries: a line with a time and what follows it without one."""
    return re.split(r"(?m)^(?=\[\d{4}-)", log)


class Checkout:
    """A project in which its developers run commands; processes that stay are ended with it.

    Args:
        project: The project, which has no environment yet.
        tools: Folder for the programs that a developer has besides those of the system.
    """

    def __init__(self, project: Project, tools: Path) -> None:
        self.project = project
        self.output = tools.parent / "dev.log"
        tools.mkdir()
        (tools / "uv").symlink_to(find_uv_bin())
        astray = re.compile(r"CELERY_|APP_|PYTHON|PYTEST_|UV_PROJECT|VIRTUAL_ENV|TEST_BROKER_URL|MAKE|MFLAGS")
        inherited = {name: value for name, value in os.environ.items() if not astray.match(name)}
        self.variables = {
            **inherited,
            "PATH": f"{tools}:{os.defpath}",
            "UV_PYTHON": sys.executable,
            "UV_PYTHON_DOWNLOADS": "never",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, *command: str, **variables: str) -> str:
        """Run a command that must succeed, with an empty line as input, and return what it wrote."""
        result = subprocess.run(
            command,
            cwd=self.project.folder,
            env=self.variables | variables,
            input="\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=10 * PATIENCE,
            check=False,
        )
        assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}\n{self.log()[-5000:]}"
        return result.stdout

    def start(self, *command: str) -> None:
        """Start a command in a terminal of its own."""
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.project.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log(self) -> str:
        """Return what the started command wrote."""
        return self.output.read_text("utf-8", "replace") if self.output.exists() else ""

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait for a condition, or fail with the end of the log, at once if that has a traceback."""

        def holds() -> object:
            assert "Traceback" not in self.log(), self.log()[-5000:]
            return condition()

        wait_until(holds, what, 2 * PATIENCE, lambda: self.log()[-5000:])

    def left(self) -> list[str]:
        """Return the processes of this checkout."""
        group = members(self.process.pid) if self.process else []
        return group + processes(f"{self.project.folder}{os.sep}")

    def stop(self, sign: signal.Signals = signal.SIGINT) -> None:
        """Press Ctrl-C in the terminal of the started command, or send another signal: nothing of it is left."""
        assert self.process
        os.killpg(self.process.pid, sign)
        wait_until(
            lambda: self.process and self.process.poll() is not None and not self.left(),
            "everything stops",
            STOP_TIME,
            lambda: "\n".join([*self.left(), self.log()[-5000:]]),
        )

    def close(self) -> None:
        """End everything that is left."""
        for line in self.left():
            with suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        if self.process:
            self.process.wait()
