"""Signs of life, and the probe that looks at them."""

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.bootsteps import CLOSE, RUN  # type: ignore[attr-defined]
from host import ROOT

from my_celery_project import config
from my_celery_project.limits import BUDGET
from my_celery_project.runtime.worker import liveness

PROBE = ROOT / "deploy" / "alive"


@pytest.fixture
def heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "heartbeat"
    monkeypatch.setenv("HEARTBEAT_PATH", str(path))
    return path


def probe() -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROBE], capture_output=True, encoding="utf-8", timeout=30, check=False)


def worker(connection: object = None, state: object = RUN) -> Any:
    return SimpleNamespace(
        consumer=SimpleNamespace(connection=connection), blueprint=SimpleNamespace(state=state)
    )


def test_the_probe_looks_at_the_age(heartbeat: Path) -> None:
    liveness.touch()
    assert probe().returncode == 0
    old = time.time() - BUDGET.heartbeat_age - 2
    os.utime(heartbeat, (old, old))
    result = probe()
    assert result.returncode == 1
    assert f"more than {BUDGET.heartbeat_age}" in result.stderr


def test_the_probe_fails_without_a_sign_of_life(
    heartbeat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert probe().returncode == 1
    monkeypatch.delenv("HEARTBEAT_PATH")
    result = probe()
    assert result.returncode != 0
    assert "HEARTBEAT_PATH" in result.stderr


def test_a_file_that_cannot_be_written_is_named(
    heartbeat: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_PATH", str(heartbeat / "none" / "file"))
    with pytest.raises(config.ConfigurationError, match="HEARTBEAT_PATH is"):
        liveness.touch()


def test_a_worker_without_a_loop_is_one_that_starts_waits_or_stops() -> None:
    assert liveness.has_no_loop(SimpleNamespace(consumer=None, blueprint=worker().blueprint))
    assert liveness.has_no_loop(worker(connection=None))
    assert liveness.has_no_loop(worker(connection=object(), state=CLOSE))
    assert not liveness.has_no_loop(worker(connection=object()))


def test_the_main_loop_gives_the_signs(heartbeat: Path) -> None:
    calls: list[tuple[float, Any]] = []
    parent = worker(connection=object())
    parent.timer = SimpleNamespace(
        call_repeatedly=lambda seconds, function: calls.append((seconds, function))
    )
    liveness.Heartbeat(parent).start(parent)
    assert heartbeat.exists()
    assert calls == [(liveness.INTERVAL, liveness.touch)]


def test_nobody_touches_a_file_that_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTBEAT_PATH", raising=False)
    assert not liveness.Heartbeat(worker()).include_if(worker())
