"""What a new user does on a Debian 12 with nothing but Python, make and git, from the clone to a replayed dead letter.

Everything is typed into terminals, and stands in the documents word by word. Two things do not: the framework, which
is appended as an answer, and the port of the web server, because tests share this machine.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from engine import CERTIFICATES, REGISTRIES
from machine import NEWCOMER, Machine, container, needed_root
from servers import PATIENCE, STOP_TIME, free_port, wait_until
from test_docs import README, block, published
from variants import FULL, options

#: What says on this machine where pip gets packages, and which certificates it trusts, besides the variables.
PIP = ("/etc/pip.conf", CERTIFICATES)

#: Number and name of the user.
USER, NAME = 1000, "ann"
HOME = f"/home/{NAME}"

#: Where the user finds the template.
SOURCE = "/srv/celery-template"

#: The project, and its package.
SLUG, PACKAGE = "my-celery-project", "my_celery_project"

#: The file of a first own task.
TASK = f"src/{PACKAGE}/tasks/images.py"

#: Seconds in which everything is installed on a busy machine.
INSTALLED = 10 * PATIENCE

#: How wide a terminal is.
COLUMNS = 80

#: What bash shows when it waits for a command, with the outcome of the last one, and for the next line of one.
PROMPT, MORE = f"[{NAME}:$?] ", f"[{NAME}] "
PROMPTS = re.compile(rf"\[{NAME}(?::(\d+))?\] ")

#: What a terminal takes for colours and for the place of the cursor.
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

FRAMEWORKS = [str(name) for name in options()["framework"]]


class Terminal:
    """A terminal in which a user of the machine types.

    Args:
        machine: The machine.
        variables: Variables of the user's shell.
    """

    def __init__(self, machine: Machine, variables: Mapping[str, str]) -> None:
        self.keyboard, screen = pty.openpty()
        fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
        modes = termios.tcgetattr(screen)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(screen, termios.TCSANOW, modes)
        user = ["nsenter", f"--target={machine.first}", "--all", f"--setuid={USER}", f"--setgid={USER}"]
        own = [
            f"HOME={HOME}",
            f"PATH={os.defpath}",
            "LANG=C.UTF-8",
            "TERM=xterm-256color",
            f"PS1={PROMPT}",
            f"PS2={MORE}",
        ]
        shell = ["setsid", "--ctty", "--wait", "bash", "--norc", "--noediting", "-i"]
        environment = [*own, *(f"{name}={value}" for name, value in variables.items())]
        self.process = subprocess.Popen(
            [*user, "env", "--ignore-environment", f"--chdir={HOME}", *environment, *shell],
            stdin=screen,
            stdout=screen,
            stderr=screen,
        )
        os.close(screen)
        self.written = bytearray()
        self.reader = Thread(target=self.read, daemon=True)
        self.reader.start()
        self.since = 0
        self.wait(lambda: PROMPTS.search(self.shown()), "the shell waits")

    def read(self) -> None:
        """Keep what is written, until the terminal is closed."""
        while True:
            try:
                self.written += os.read(self.keyboard, 65536)
            except OSError:
                return

    def shown(self) -> str:
        """Return what has been shown since the last command was typed."""
        return CONTROLS.sub("", self.written[self.since :].decode("utf-8", "replace")).replace("\r\n", "\n")

    def wait(self, condition: Callable[[], object], what: str, timeout: float = INSTALLED) -> None:
        """Wait for a condition, or fail with what was shown."""
        wait_until(condition, what, timeout, lambda: self.shown()[-5000:])

    def type(self, commands: str) -> None:
        """Type commands, and wait for nothing."""
        self.since = len(self.written)
        os.write(self.keyboard, f"{commands.rstrip()}\n".encode())

    def run(self, commands: str) -> str:
        """Type commands, each of which must succeed, and return what they showed."""
        self.type(commands)
        return self.done(commands)

    def done(self, commands: str) -> str:
        """Wait until typed commands have succeeded, and return what they showed."""
        number = len(commands.rstrip().splitlines())
        self.wait(lambda: len(PROMPTS.findall(self.shown())) >= number, f"{commands} ends")
        assert set(PROMPTS.findall(self.shown())) <= {"0", ""}, f"{commands}\n{self.shown()}"
        return PROMPTS.sub("", self.shown())

    def press_ctrl_c(self) -> None:
        """Interrupt the command that runs."""
        os.write(self.keyboard, b"\x03")

    def close(self) -> None:
        """Close it, and end its shell."""
        self.process.kill()
        self.process.wait()
        os.close(self.keyboard)


class Newcomer:
    """A user of a new machine, and the times that their steps take.

    Args:
        machine: The machine.
        variables: Variables of the user's shells.
        framework: The framework of the project.
    """

    def __init__(self, machine: Machine, variables: Mapping[str, str], framework: str) -> None:
        self.machine, self.framework = machine, framework
        self.project, self.port = machine.path(HOME) / SLUG, str(free_port())
        self.variables = {**variables, "WEB_PORT": self.port}
        self.times: dict[str, float] = {}
        self.terminals: list[Terminal] = []
        self.began = time.monotonic()
        self.idle = self.processes()

    def terminal(self) -> Terminal:
        """Open a terminal."""
        self.terminals.append(Terminal(self.machine, self.variables))
        return self.terminals[-1]

    def close(self) -> None:
        """Close all terminals."""
        for terminal in self.terminals:
            terminal.close()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Take the time of a step."""
        begun = time.monotonic()
        yield
        self.times[name] = time.monotonic() - begun

    def processes(self) -> set[str]:
        """Return the programs that run in the machine, besides shells that wait in terminals."""
        place = os.readlink(f"/proc/{self.machine.first}/ns/pid")
        found = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(folder / "ns" / "pid") == place:
                    found.add((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return {line for line in found if "--noediting" not in line}

    def read(self, path: str) -> str:
        """Return a file of the project, with the port of this test."""
        return (self.project / path).read_text("utf-8").replace(":8000", f":{self.port}")

    def section(self, name: str, title: str) -> str:
        """Return a section of a page."""
        part = self.read(f"docs/{name}.md").partition(f"## {title}\n")[2]
        assert part, f"{name}.md has no section {title!r}"
        return part.partition("\n## ")[0]

    def write(self, path: str, text: str) -> None:
        """Save a new file of the project, in an editor."""
        file = self.project / path
        file.write_text(text, "utf-8")
        os.chown(file, USER, USER)

    def insert(self, path: str, before: str, text: str) -> None:
        """Insert text into a file of the project, before a line, in an editor."""
        file = self.project / path
        old = file.read_text("utf-8")
        assert old.count(before) == 1, f"{path} has {before!r} {old.count(before)} times"
        file.write_text(old.replace(before, text + before), "utf-8")


@pytest.fixture
def newcomer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Newcomer]:
    """Yield a user whose machine ends with the test, with everything that was written there."""
    root, source = needed_root(NEWCOMER), tmp_path / "celery-template"
    variables = published(source, SOURCE)
    for path in (source, *source.rglob("*")):  # git clones from no repository of another user
        os.chown(path, USER, USER, follow_symlinks=False)
    given = {name: value for name, value in os.environ.items() if REGISTRIES.fullmatch(name)}
    trusted = {"PIP_CERT": CERTIFICATES, "SSL_CERT_FILE": CERTIFICATES}
    binds = [f"--bind-ro={path}" for path in PIP if Path(path).exists()]

    def is_up(machine: Machine) -> bool:
        return machine.run("cat", "/run/up", code=None) == "up\n"

    words = [f"--bind-ro={source}:{SOURCE}", *binds, "--as-pid2", "sh", "-c", "echo up >/run/up && exec sleep infinity"]
    with container(root, tmp_path / "console", is_up, *words) as machine:
        machine.run("useradd", "--create-home", f"--uid={USER}", NAME)
        machine.path("/etc/hosts").write_text("127.0.0.1 localhost\n", "utf-8")
        user = Newcomer(machine, {**variables, **given, **trusted}, request.param)
        try:
            yield user
        finally:
            user.close()


@pytest.mark.parametrize("newcomer", FRAMEWORKS, indirect=True)
def test_a_new_user_gets_through_the_first_hour(newcomer: Newcomer, summary: Callable[[str], None]) -> None:
    first, second = newcomer.terminal(), newcomer.terminal()
    generate(newcomer, first)
    look(newcomer, first, second)
    if newcomer.framework != "none":
        call(newcomer, second)
    if FULL or newcomer.framework == FRAMEWORKS[0]:
        extend(newcomer, first, second)
    with newcomer.step("Ctrl-C, until everything has ended"):
        stop(newcomer, first)
    rows = [f"{seconds:8.1f} {name}" for name, seconds in newcomer.times.items()]
    total = time.monotonic() - newcomer.began
    summary("\n".join([f"A new user, framework {newcomer.framework}: seconds", *rows, f"{total:8.1f} all"]))


def generate(newcomer: Newcomer, terminal: Terminal) -> None:
    """Clone the template, and generate a project."""
    clone, make = block(README, "sh").splitlines()
    with newcomer.step("clone"):
        terminal.run(clone)
    with newcomer.step("generate, after cookiecutter has been installed"):
        shown = terminal.run(f"{make} framework={newcomer.framework}")
    assert f"cd {HOME}/{SLUG}\n  make dev\n  make demo" in shown


def look(newcomer: Newcomer, first: Terminal, second: Terminal) -> None:
    """Start everything, and run the demo in the second terminal."""
    enter, dev, demo = commands(block(README, "sh", 1))
    first.run(enter)
    with newcomer.step("make dev, until everything is installed and ready"):
        first.type(dev)
        first.wait(lambda: is_ready(first), "everything is ready")
    assert [line for line in first.shown().splitlines() if len(line) > COLUMNS and " | " not in line] == []
    second.run(block(README, "sh").splitlines()[0].rpartition("&& ")[2])
    second.run(enter)
    with newcomer.step("make demo, until the first task has succeeded"):
        second.type(demo)
        second.wait(lambda: " succeeded" in second.shown(), "a task succeeds")
    with newcomer.step("make demo, until all have"):
        second.done(demo)


def commands(block: str) -> list[str]:
    """Return the commands of a block, one a line, without comments."""
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def is_ready(terminal: Terminal) -> bool:
    """Whether everything runs; fail if `make dev` has ended."""
    assert not PROMPTS.search(terminal.shown()), terminal.shown()
    return "ready: " in terminal.shown()


def stop(newcomer: Newcomer, terminal: Terminal) -> None:
    """Press Ctrl-C where `make dev` runs: it ends, and nothing of it is left."""
    terminal.press_ctrl_c()
    terminal.wait(lambda: PROMPTS.search(terminal.shown()), "make dev ends", STOP_TIME)
    # A make that was interrupted itself ends with 128 + SIGINT.
    assert re.search(r"\| stopped\s+\[ann:(0|130)\] $", terminal.shown()), terminal.shown()[-3000:]
    ended = newcomer.processes
    wait_until(lambda: ended() == newcomer.idle, "no process is left", 5, lambda: "\n".join(ended()))


def call(newcomer: Newcomer, terminal: Terminal) -> None:
    """Send a task over HTTP, and wait for its result, with the client of the document."""
    page = newcomer.read("docs/web.md")
    newcomer.write("client.py", block(page, "python"))
    (run,) = re.findall(r"`(\S+python client\.py)`", page)
    with newcomer.step("the first call over HTTP, with its result"):
        shown = terminal.run(run)
    assert "event: end" in shown or "'result': 'reports/" in shown, shown


def extend(newcomer: Newcomer, first: Terminal, second: Terminal) -> None:
    """Add a task, repair one that failed, and add a queue with a worker and a schedule."""
    make_picture, send = block(newcomer.section("tasks", "Call a task"), "sh").splitlines()
    picture, copy = newcomer.project / "a.png", newcomer.project / "b.png"

    add_task(newcomer, first, second)
    with newcomer.step("its first call, until its effect is there"):
        second.run(make_picture)
        second.run(send)
        first.wait(copy.exists, "the task has run")
    with newcomer.step("its test, and all others"):
        newcomer.write("tests/worker/test_images.py", block(newcomer.section("tasks", "Test a task"), "python"))
        (test, *_) = commands(block(newcomer.read("README.md").partition("## Test it")[2], "sh"))
        second.run(test)

    picture.unlink()
    copy.unlink()
    with newcomer.step("a task fails and is a dead letter, which is looked at"):
        task_id = second.run(send).strip()
        replay = look_at_dead_letter(newcomer, second, task_id)
    with newcomer.step("its cause is mended, and it is replayed"):
        second.run(make_picture)
        assert f"{task_id} was sent again as" in second.run(replay)
        first.wait(copy.exists, "the task has run again")

    add_queue(newcomer, first)
    with newcomer.step("a task in this queue"):
        task_id = second.run(send).strip()
        ran = rf"(?m)^images +\|.+ images\.resize\[{task_id}\] succeeded"
        first.wait(lambda: re.search(ran, first.shown()), "the worker of the queue has run the task")
    with newcomer.step("a schedule, until the task that it sent has run"):
        row = block(newcomer.section("schedule", "Add a schedule"), "python")
        newcomer.insert(f"src/{PACKAGE}/schedule.py", '    "heartbeat":', row)
        first.wait((newcomer.project / "thumbnail.png").exists, "the task has run")
    assert re.search(r"(?m)^beat +\|.+Sending due task thumbnail \(images\.resize\)", first.shown())


def add_task(newcomer: Newcomer, first: Terminal, second: Terminal) -> None:
    """Install the library of a new task, and save its file."""
    section = newcomer.section("tasks", "Add a task")
    dependency, install = re.findall(r"`(\".+\",|make install)`", section)
    with newcomer.step("a library for a first own task"):
        newcomer.insert("pyproject.toml", '  "pydantic>=', f"  {dependency}\n")
        second.run(install)
    with newcomer.step("the task, until make dev has restarted"):
        newcomer.write(TASK, block(section, "python"))
        restarted = rf"(?s){TASK} changed: restarting.*ready: "
        first.wait(lambda: re.search(restarted, first.shown()), "everything has restarted")


def look_at_dead_letter(newcomer: Newcomer, terminal: Terminal, task_id: str) -> str:
    """Find a dead letter, look at it, and return the command that replays it."""
    page = newcomer.read("docs/repair.md")
    group, find, _ = commands(block(page, "sh"))
    show, replay = (command.replace("ID", task_id) for command in commands(block(page, "sh", 1)))
    terminal.wait(lambda: task_id in terminal.run(find), "the dead letter is listed")
    assert "1 dead letter of images.resize: failed, FileNotFoundError" in terminal.run(group)
    shown = terminal.run(show)
    assert "No such file or directory: 'a.png'" in shown
    assert f"  {replay}\n" in shown
    return replay


def add_queue(newcomer: Newcomer, terminal: Terminal) -> None:
    """Add a queue with a worker of its own, send the task there, and start everything again."""
    queue = newcomer.section("queues", "Add a queue")
    (decorator,) = re.findall(r"`(@app\.task\(.+?\))`", newcomer.section("queues", "Send a task to another queue"))
    _, dev, _ = commands(block(README, "sh", 1))
    with newcomer.step("a queue with a worker, until everything is ready again"):
        newcomer.insert(f"src/{PACKAGE}/queues.py", '    CPU = "cpu"\n', block(queue, "python"))
        newcomer.insert("Procfile", "beat: ", block(queue, "text"))
        newcomer.write(TASK, re.sub(r"@app\.task\(.+\)", decorator, newcomer.read(TASK)))
        stop(newcomer, terminal)
        terminal.type(dev)
        terminal.wait(lambda: is_ready(terminal), "everything is ready")
