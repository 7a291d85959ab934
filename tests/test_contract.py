"""The engine room relies on what its libraries do not document: each name has a row, no later version is allowed.

`contract.toml` is the table, `contract.py` compares it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Baked
from contract import TABLE, load, unlisted
from support import python_of, run
from test_runtime import DJANGO, RUNTIME
from variants import Answers, each, pairwise

Compared = Callable[..., list[str]]

#: The newest version that was tried of what is older on the oldest Python.
TRIED = {"django": "6.0"}

#: A requirement of a generated project: name, extras, floor and cap, and on what machines.
REQUIREMENT = re.compile(r"([\w-]+)(?:\[[\w,-]+\])?>=([\d.]+),<([\d.]+)(?:; .+)?")


@pytest.fixture
def compared(environment: Path, tmp_path: Path) -> Compared:
    """Return a function that compares the table with what is installed, and gives the lines that it prints.

    Its arguments are Python code to run first, and texts to add to files of the engine room.
    """
    shutil.copytree(RUNTIME, tmp_path / "alone" / "engine")
    (tmp_path / "alone" / "__init__.py").touch()

    def compare(prelude: str = "", **added: str) -> list[str]:
        for file, text in added.items():
            path = tmp_path / "alone" / "engine" / f"{file}.py"
            path.write_text(f"{path.read_text('utf-8')}\n{text}", "utf-8")
        done = subprocess.run(
            [python_of(environment), TABLE.with_suffix(".py"), DJANGO + prelude],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return compare


def test_every_use_of_a_private_name_has_a_row() -> None:
    assert unlisted(RUNTIME, load()) == []


def test_the_libraries_are_as_the_table_says(compared: Compared) -> None:
    assert compared() == []


#: What an upstream change looks like, and what the line about it says.
CHANGES = {
    "a signature": (
        "from kombu.transport.redis import Channel\nChannel._brpop_start = lambda self: None\n",
        r"kombu\.transport\.redis:Channel\._brpop_start is '\(self\)', and was '\(self, timeout=None\)';"
        r" look at runtime/redis/transport\.py: ours sends TAKE in place of BRPOP",
    ),
    "a name that is gone": (
        "from celery.worker.request import Request\ndel Request._retry_worker_lost\n",
        r"celery\.worker\.request:Request\._retry_worker_lost is gone; look at runtime/worker/request\.py",
    ),
    "other lines": (
        "from celery.beat import PersistentScheduler as S\nS.setup_schedule = S.sync\n",
        r"celery\.beat:PersistentScheduler\.setup_schedule has other lines: '\w+', and was '\w+'; look at runtime/beat",
    ),
    "another value": (
        "from redbeat import schedulers\nschedulers.REDBEAT_REDIS_KEY = 'other'\n",
        r"redbeat\.schedulers:REDBEAT_REDIS_KEY is \"'other'\", and was \"'redbeat_redis'\"; look at runtime/beat",
    ),
    "another attribute": (
        "from kombu.transport.virtual import base\nclass Other(base.QoS.__base__):\n    pass\nbase.QoS = Other\n",
        r"kombu\.transport\.virtual\.base:QoS\._delivered is gone; look at runtime/redis/transport\.py",
    ),
    "a name of ours": (
        "from kombu.transport.redis import Channel\nChannel._waits = None\n",
        r"AtomicDelivery in runtime/redis/transport\.py overrides kombu\.transport\.redis:Channel\._waits",
    ),
}


@pytest.mark.parametrize(("prelude", "line"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_a_library_is_found(prelude: str, line: str, compared: Compared) -> None:
    found = compared(prelude)
    assert any(re.match(line, text) for text in found), found


def test_an_override_without_a_row_is_found(compared: Compared) -> None:
    more = "class More(Connection):\n    def heartbeat_check(self, rate: int = 2) -> Any:\n        return None\n"
    (found,) = compared(connection=more)
    assert found.startswith(
        "More in runtime/connection.py overrides kombu.connection:Connection.heartbeat_check: enter"
    )


#: A use of a private or an internal name, and what the line about it says.
USES = {
    "an attribute": (
        "def f(channel):\n    return channel._default_channel\n",
        "uses _default_channel of another library",
    ),
    "an inherited one": ("class A(Connection):\n    def f(self):\n        return self._debug\n", "uses _debug"),
    "one that is set": ("def f(channel):\n    channel._default_channel = True\n", "uses _default_channel"),
    "one by its name": (
        "def f(channel):\n    return getattr(channel, '_default_channel', None)\n",
        "uses _default_channel",
    ),
    "one that is replaced": ("connection.Connection.clone = None\n", "replaces clone"),
    "a private module": ("from celery._state import get_current_app\n", "uses get_current_app"),
    "an internal module": ("from kombu.utils.functional import lazy\n", "imports kombu.utils.functional:lazy"),
    "a citation": ("# It waits (kombu/utils/functional.py,\n# `lazy`).\n", "cites kombu.utils.functional:lazy"),
}


@pytest.mark.parametrize(("text", "line"), USES.values(), ids=USES)
def test_a_use_without_a_row_is_found(text: str, line: str, tmp_path: Path) -> None:
    copy = shutil.copytree(RUNTIME, tmp_path / "runtime")
    with (copy / "connection.py").open("a", encoding="utf-8") as file:
        file.write(text)
    (found,) = unlisted(copy, load())
    assert found.startswith("runtime/connection.py")
    assert line in found


def test_a_row_that_nothing_uses_is_found() -> None:
    table = load()
    table["context.py"] |= {"kombu.connection:Connection._closed": {"is": "None"}}
    table["nowhere.py"] = {"kombu.connection:Connection.clone": {"is": "(self)"}}
    assert unlisted(RUNTIME, table) == [
        "tests/contract.toml: runtime/context.py no longer names kombu.connection:Connection._closed",
        "tests/contract.toml: there is no runtime/nowhere.py",
    ]


def requirements(project: Path) -> Iterator[str]:
    """Yield all that a project may install."""
    content = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    yield from content["build-system"]["requires"]
    yield from content["project"]["dependencies"]
    for group in (content["project"].get("optional-dependencies", {}), content["dependency-groups"]):
        for names in group.values():
            yield from names


def after(version: str, parts: int) -> tuple[int, ...]:
    """Return the next version after one: the next minor version has two parts, the next major one has one."""
    *most, final = map(int, version.split(".")[:parts])
    return (*most, final + 1)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version for comparison."""
    return tuple(map(int, version.split(".")))


def installed_versions(environment: Path) -> dict[str, str]:
    """Return the version of each distribution in an environment."""
    code = "from importlib.metadata import distributions as d\nfor x in d(): print(x.name.lower(), x.version)"
    lines = run([python_of(environment), "-c", code], environment).splitlines()
    return {name.replace("_", "-"): version for name, version in map(str.split, lines)}


@each(pairwise())
def test_no_version_is_allowed_that_was_not_tried(answers: Answers, baked: Baked, environment: Path) -> None:
    tried = {row["distribution"]: row["tried"] for row in load()["libraries"].values()}
    present = installed_versions(environment) | TRIED
    for requirement in requirements(baked(answers)):
        match = REQUIREMENT.fullmatch(requirement)
        assert match, f"{requirement} has no floor or no cap"
        name, floor, cap = match.groups()
        assert numbers(floor) < numbers(cap), requirement
        if name in tried:
            assert numbers(cap) == after(tried[name], 2), f"{requirement}: {tried[name]} is the newest that was tried"
        elif name in present:
            version = ".".join(re.findall(r"\d+", present[name])[:3])
            assert numbers(cap) <= after(version, 1), f"{requirement}: {version} is the newest that was tried"


def test_what_was_tried_is_what_is_installed(environment: Path) -> None:
    present = installed_versions(environment)
    for row in load()["libraries"].values():
        version = present[row["distribution"]]
        assert version.startswith(f"{row['tried']}."), f"{row['distribution']} {version} is installed: {row}"
