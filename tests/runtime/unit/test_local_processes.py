"""The processes of `make dev`: their lines, and how they restart and stop."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from my_celery_project.celery import app
from my_celery_project.runtime.cli import dev as command
from my_celery_project.runtime.local import (
    changes,
    claims,
    output,
    processes,
    procfile,
)
from my_celery_project.runtime.testing.servers import wait_until

#: A process with a child. It says what reaches it, and is ready when it has said ` ready.` It sleeps for short times,
#: because Python begins a sleep although a signal has come just before, and handles that afterwards.
PROGRAM = """
import os, signal, sys, time

def stop(number, _):
    if not child:
        print("the child got", signal.Signals(number).name, flush=True)
        return
    print("got", signal.Signals(number).name, "while a task runs", flush=True)
    if number == signal.SIGQUIT:
        sys.exit(0)
    if "--stubborn" not in sys.argv:
        time.sleep(0.3)
        print("the task has ended", flush=True)
        sys.exit(0)

child = os.fork()
for sign in (signal.SIGTERM, signal.SIGQUIT):
    signal.signal(sign, stop)
if child == 0:
    while True:
        time.sleep(0.2)
print("INFO dull", flush=True)
print("WARNING look", flush=True)
print("child", child, "ready.", flush=True)
while True:
    time.sleep(0.2)
"""


#: What a program that runs processes imports.
USED = ((processes, "Runner"), (output, "Output"))


class Shown(output.Output):
    """What is written, and what to do when certain lines are."""

    def __init__(self, *names: str) -> None:
        super().__init__(names)
        self.lines: list[str] = []
        self.actions: list[tuple[str, Callable[[], object]]] = []

    def write(self, text: str) -> None:
        self.lines.append(click.unstyle(text))
        if self.actions and self.actions[0][0] in self.lines[-1]:
            self.actions.pop(0)[1]()

    def has(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self.lines)


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Restore what signals do."""
    before = {sign: signal.getsignal(sign) for sign in processes.SIGNALS}
    yield
    for sign, handler in before.items():
        signal.signal(sign, handler)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def program(tmp_path: Path) -> str:
    """Return the command of such a process."""
    file = tmp_path / "program.py"
    file.write_text(PROGRAM)
    return f"{sys.executable} {file}"


def runs(pid: int) -> bool:
    """Whether a process runs."""
    state = ["/bin/ps", "-o", "stat=", "-p", str(pid)]
    done = subprocess.run(state, capture_output=True, text=True, check=False)
    return done.stdout.strip()[:1] not in {"", "Z"}


@pytest.fixture
def is_gone() -> Callable[[Shown], bool]:
    """Return a function that tells whether no child of the processes is left."""

    def check(shown: Shown) -> bool:
        found = [re.search(r"child (\d+) (?:again )?ready", line) for line in shown.lines]
        children = [int(match[1]) for match in found if match]
        assert children
        deadline = time.monotonic() + 30
        while any(map(runs, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not any(map(runs, children))

    return check


def run(shown: Shown, commands: dict[str, str], **options: Any) -> str:
    assert shown.actions
    failure = processes.Runner(commands, shown, "all ready", **options).run()
    assert shown.actions == []
    return failure


def test_ctrl_c_reaches_the_leaders_alone_and_waits_for_tasks(
    program: str, is_gone: Callable[[Shown], bool]
) -> None:
    # A shell without job control starts a job in the background so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shown = Shown("one", "other")
    shown.actions = [("all ready", interrupt)]
    assert run(shown, {"one": program, "other": program}) == ""
    assert shown.has("^one   . got SIGTERM while a task runs")
    assert shown.has("^other . the task has ended")
    assert shown.has("^one   . WARNING look")
    assert not shown.has("dull|SIGINT|the child got")
    assert is_gone(shown)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_second_ctrl_c_puts_tasks_back_and_the_third_kills(
    program: str, is_gone: Callable[[Shown], bool]
) -> None:
    shown = Shown("general", "web")
    shown.actions = [
        ("all ready", interrupt),
        ("general | got SIGTERM", interrupt),
        ("general | got SIGQUIT", interrupt),
    ]
    commands = {"general": f"{program} worker --stubborn", "web": f"{program} --stubborn"}
    assert run(shown, commands) == ""
    assert not shown.has("^web .*SIGQUIT")
    assert is_gone(shown)


def test_a_sigterm_that_comes_twice_counts_once(program: str) -> None:
    shown = Shown("general")
    shown.actions = [
        ("all ready", lambda: os.kill(os.getpid(), signal.SIGTERM)),
        ("general | got SIGTERM", lambda: os.kill(os.getpid(), signal.SIGTERM)),
    ]
    assert run(shown, {"general": f"{program} worker --once"}) == ""
    assert shown.has("the task has ended")
    assert not shown.has("SIGQUIT")


def test_a_process_that_ends_by_itself_ends_the_others(
    program: str, is_gone: Callable[[Shown], bool]
) -> None:
    shown = Shown("one", "broken")
    shown.actions = [("broken ended", lambda: None)]
    broken = "sleep 1; echo INFO why; exit 7"
    assert run(shown, {"one": program, "broken": f"sh -c '{broken}'"}) == (
        "broken ended with exit code 7"
    )
    assert shown.has("^broken . INFO why")
    assert shown.has("^one    . the task has ended")
    assert is_gone(shown)


def test_a_signal_that_ends_a_process_is_named() -> None:
    assert processes.ending(-9) == "was ended by SIGKILL"


def test_a_signal_that_is_ignored_stays_so(program: str) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    shown = Shown("one")

    def hang_up() -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        interrupt()

    shown.actions = [("all ready", hang_up)]
    assert run(shown, {"one": program}) == ""
    assert sum("stopping" in line for line in shown.lines) == 1
    assert not shown.has("putting")


@pytest.mark.skipif(not processes.leash(), reason="only setpriv of Linux makes children end")
def test_a_runner_that_is_killed_leaves_no_process(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = f"sh -c 'echo $$ > {started}.new && mv {started}.new {started} && exec sleep 600'"
    run_it = f"Runner({{'one': {command!r}}}, Output(['one']), '').run()"
    imports = "; ".join(f"from {module.__name__} import {name}" for module, name in USED)
    with subprocess.Popen([sys.executable, "-c", f"{imports}; {run_it}"]) as runner:
        wait_until(started.exists)
        runner.kill()
    pid = int(started.read_text())
    try:
        wait_until(lambda: not runs(pid))
    finally:
        if runs(pid):
            os.kill(pid, signal.SIGKILL)


def test_debugging_hides_nothing(program: str) -> None:
    shown = Shown("one")
    shown.actions = [("all ready", interrupt)]
    run(shown, {"one": program}, hide=False)
    assert shown.has("INFO dull")


def change(runner: processes.Runner, path: Path) -> None:
    changes.report([path], lambda *seen: runner.events.put(lambda: runner.on_change(*seen)))


def test_a_change_restarts_and_a_mistake_waits_for_the_next_change(
    tmp_path: Path, program: str, is_gone: Callable[[Shown], bool]
) -> None:
    shown, module = Shown("one"), tmp_path / "program.py"
    runner = processes.Runner({"one": program}, shown, "all ready")

    def save(text: str) -> None:
        module.write_text(text)
        change(runner, module)

    shown.actions = [
        ("all ready", lambda: save(PROGRAM.replace("ready.", "again ready."))),
        ("again ready", lambda: save("def f(:\n")),
        (
            "program.py:1: invalid syntax: the old code runs on",
            lambda: save("raise SystemExit(3)\n"),
        ),
        ("exit code 3: waiting until the next change", lambda: save(PROGRAM)),
        ("all ready", interrupt),
    ]
    assert runner.run() == ""
    assert shown.actions == []
    assert shown.has(r"program.py changed: restarting")
    assert sum("got SIGTERM" in line for line in shown.lines) == 3
    assert is_gone(shown)


#: What a process writes that cannot import its tasks.
FAILING = """
print("INFO reading", flush=True)
print("Traceback (most recent call last):", "  File x", "ModuleNotFoundError: no y", sep="\\n")
"""


def test_an_error_that_all_have_is_shown_once(tmp_path: Path, program: str) -> None:
    file = tmp_path / "program.py"
    shown = Shown("one", "two")
    runner = processes.Runner({"one": program, "two": program}, shown, "all ready")

    def save(text: str) -> None:
        file.write_text(text)
        change(runner, file)

    shown.actions = [
        ("all ready", lambda: save(FAILING)),
        ("waiting until", lambda: None),
        ("waiting until", lambda: save(PROGRAM)),
        ("all ready", interrupt),
    ]
    assert runner.run() == ""
    assert sum("Traceback" in line for line in shown.lines) == 1
    assert sum("ModuleNotFoundError: no y" in line for line in shown.lines) == 2


def test_an_error_that_ends_nothing_is_shown_when_the_next_line_comes(program: str) -> None:
    slow = PROGRAM.replace(
        "WARNING look", "Traceback (most recent call last):\\n  x\\nError: y\\nINFO"
    )
    Path(program.split()[1]).write_text(slow)
    shown = Shown("one")
    shown.actions = [("all ready", interrupt)]
    assert run(shown, {"one": program}) == ""
    assert shown.has("Traceback")
    assert shown.has("Error: y")


def test_everything_is_ready_when_all_have_restarted(tmp_path: Path, program: str) -> None:
    file = tmp_path / "slow.py"
    file.write_text(PROGRAM.replace("sleep(0.3)", "sleep(2)"))
    shown = Shown("fast", "slow")
    commands = {"fast": program, "slow": f"{sys.executable} {file}"}
    runner = processes.Runner(commands, shown, "all ready")
    shown.actions = [("all ready", lambda: change(runner, file)), ("all ready", interrupt)]
    assert runner.run() == ""
    ready = [line.split()[0] for line in shown.lines if line.endswith(" ready")]
    assert [sorted(ready[:2]), ready[2], sorted(ready[3:5]), ready[5:]] == [
        ["fast", "slow"],
        "|",
        ["fast", "slow"],
        ["|"],
    ]


def test_several_changes_are_one_line() -> None:
    shown = Shown()
    runner = processes.Runner({}, shown, "")
    runner.on_change(["src/a.py", "src/b.py"], None)
    assert shown.lines == [" | src/a.py and 1 more changed: restarting"]


def test_changes_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown("one")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    file = tmp_path / "src" / "tasks.py"
    runner = processes.Runner({"one": "sh -c 'echo is ready.; sleep 60'"}, shown, "all ready")
    assert changes.watch(lambda *seen: runner.events.put(lambda: runner.on_change(*seen)))
    shown.actions = [
        ("all ready", lambda: file.write_text("x = 1\n")),
        ("src/tasks.py changed: restarting", interrupt),
    ]
    runner.run()
    assert shown.actions == []


def test_without_watchfiles_changes_are_not_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert not changes.watch(lambda *_: None)


def test_a_server_that_ends_ends_the_processes(program: str) -> None:
    shown = Shown("one")
    runner = processes.Runner({"one": program}, shown, "all ready")
    server = subprocess.Popen(["/bin/sleep", "60"])
    shown.actions = [("all ready", server.kill)]
    runner.watch(server, "Valkey 9.1")
    assert runner.run() == "Valkey 9.1 was ended by SIGKILL"
    assert shown.has("the task has ended")


def test_no_line_changes_the_terminal() -> None:
    shown = Shown("one")
    shown.line("\x1b[31mred\x1b[0m\tand\x07 \x1b]0;title\x07", "one")
    assert shown.lines == ["one | red\tand ]0;title"]


def test_lines_are_coloured_on_a_terminal_only(capsys: pytest.CaptureFixture[str]) -> None:
    output.Output(["one"]).line("ERROR", "one")
    assert capsys.readouterr().out == "one | ERROR\n"


def test_no_color_is_heeded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = output.Output(["one"])
    shown.colour = True
    shown.line("ERROR", "one")
    assert "\x1b[31m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.Output(["one"]).colour is False


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("gunicorn x --bind ${WEB_HOST:-127.0.0.1}:${WEB_PORT:-8000} --preload", 8000),
        ("uvicorn x --host ${WEB_HOST:-127.0.0.1} --port ${WEB_PORT:-8001} --workers 1", 8001),
        ("celery -A shop worker --hostname io@%h --queues io", None),
    ],
)
def test_the_address_of_a_command_is_found(
    line: str, expected: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = procfile.address(line)
    assert place == (expected and ("127.0.0.1", expected))
    monkeypatch.setenv("WEB_PORT", "9000")
    monkeypatch.setenv("WEB_HOST", "0.0.0.0")  # noqa: S104
    if place := procfile.address(line):
        assert (place.port, place.url) == (9000, "http://127.0.0.1:9000/")


def call(*names: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.dev, names, obj=SimpleNamespace(app=app))
    return result.exit_code, result.output


def test_what_cannot_run_is_one_line() -> None:
    code, text = call()
    assert (code, text.count("\n")) == (1, 1)
    assert "there is no Procfile in" in text
    Path("Procfile").write_text("general: celery -A shop worker\nbeat: celery -A shop beat\n")
    assert call("nobody") == (1, "Error: Procfile has no process nobody: use general, beat\n")


def test_what_runs_already_is_one_line() -> None:
    Path("Procfile").write_text("one: touch it\n")
    with claims.claimed(["one"]):
        assert call() == (1, "Error: one runs already: end the make dev that has started it\n")
    assert not Path("it").exists()


def test_windows_is_told_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    code, text = call()
    assert (code, text) == (1, "Error: this runs on Linux and macOS; on Windows, use WSL\n")


def test_a_busy_port_is_one_line_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        Path("Procfile").write_text(f"one: touch it\nweb: serve --bind 127.0.0.1:{port}\n")
        code, text = call()
    assert (code, text.count("\n")) == (1, 1)
    assert f"port {port} of 127.0.0.1 cannot be used" in text
    (other,) = re.findall(r"WEB_PORT=(\d+)", text)
    assert int(other) > port
    assert "(Address already in use)" in text
    assert not Path("it").exists()
