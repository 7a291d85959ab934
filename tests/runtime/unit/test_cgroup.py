"""The memory of the control group, in both versions of what Linux calls so."""

from __future__ import annotations

from pathlib import Path

import pytest

from my_celery_project.runtime.observe.cgroup import Memory, memory

GIGABYTE = 2**30


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Return the root of a machine, of which this process is in a group of version 2."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/worker.service\n", "utf-8")
    return tmp_path


def group(path: Path, limit: str, used: int, cache: int) -> None:
    """Make a group of version 2."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "memory.max").write_text(f"{limit}\n", "utf-8")
    (path / "memory.current").write_text(f"{used}\n", "utf-8")
    (path / "memory.stat").write_text(f"anon 1\ninactive_file {cache}\n", "utf-8")


def test_what_the_kernel_would_forget_first_does_not_count(machine: Path) -> None:
    group(
        machine / "sys/fs/cgroup/system.slice/worker.service",
        str(GIGABYTE),
        used=9000,
        cache=2000,
    )
    assert memory(machine) == Memory(7000, GIGABYTE)


def test_the_nearest_limit_counts(machine: Path) -> None:
    top = machine / "sys/fs/cgroup"
    group(top / "system.slice/worker.service", "max", used=1000, cache=0)
    group(top / "system.slice", str(GIGABYTE), used=3000, cache=0)
    group(top, str(2 * GIGABYTE), used=4000, cache=0)
    assert memory(machine) == Memory(3000, GIGABYTE)


def test_a_container_sees_its_own_group_as_the_top(machine: Path) -> None:
    group(machine / "sys/fs/cgroup", str(GIGABYTE), used=5000, cache=1000)
    assert memory(machine) == Memory(4000, GIGABYTE)


def test_version_1(machine: Path) -> None:
    (machine / "proc/self/cgroup").write_text("5:cpu:/\n4:memory:/docker/x\n0::/\n", "utf-8")
    top = machine / "sys/fs/cgroup/memory"
    (top / "docker/x").mkdir(parents=True)
    for folder, limit in ((top, 2**63 - 4096), (top / "docker/x", GIGABYTE)):
        (folder / "memory.limit_in_bytes").write_text(str(limit), "utf-8")
        (folder / "memory.usage_in_bytes").write_text("9000", "utf-8")
        (folder / "memory.stat").write_text("cache 5\ntotal_inactive_file 500\n", "utf-8")
    assert memory(machine) == Memory(8500, GIGABYTE)
    (top / "docker/x/memory.limit_in_bytes").write_text(str(2**63 - 4096), "utf-8")
    assert memory(machine) is None


def test_without_a_limit_there_is_nothing_to_say(machine: Path, tmp_path: Path) -> None:
    group(machine / "sys/fs/cgroup", "max", used=5000, cache=1000)
    assert memory(machine) is None
    assert memory(tmp_path / "elsewhere") is None
