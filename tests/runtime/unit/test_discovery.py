"""A module of tasks is registered by being there, and one that is broken ends every process."""

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from host import HAS_BEAT

from my_celery_project.celery import app
from my_celery_project.runtime import discovery

FOUND = ("__init__", "loose/stock", "sales", "shop/__init__", "shop/refunds")
NO_TASKS = (
    ".#sales.py",
    "__pycache__/old.py",
    "_private.py",
    "notes.txt",
    "shop/_rates.py",
    "shop/conftest.py",
    "test_sales.py",
    "tests/slow.py",
)

TASK = """
from ..celery import app

@app.task(name="new.task")
def new() -> None: ...
"""

BEAT = [("beat", "from ..celery import no_such_name", "cannot import name 'no_such_name'")]

#: Commands, each with what breaks a module, and what must be read of it.
BROKEN = (
    ("report", "raise RuntimeError('broken on purpose')", "RuntimeError: broken on purpose"),
    ("worker --pool solo", "import no_such_library", "No module named 'no_such_library'"),
    *(BEAT if HAS_BEAT else ()),
)


def test_modules_are_found_by_being_there_and_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*(f"{name}.py" for name in FOUND), *NO_TASKS):
        path = tmp_path / "somewhere_else" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("1 / 0" if path.stem != "__init__" else "", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    names = [name.removesuffix("/__init__").replace("/", ".") for name in FOUND[1:]]
    expected = ["somewhere_else", *(f"somewhere_else.{name}" for name in names)]
    assert discovery.modules("somewhere_else") == expected
    assert "somewhere_else" not in sys.modules


def test_a_package_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'"):
        discovery.modules("no_such_package")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Return the folder of the tasks in a copy of the package."""
    package = Path(str(import_module(app.main).__file__)).parent
    shutil.copytree(package, tmp_path / app.main, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / app.main / "tasks"


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the copy."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=copy.parents[1],
        env={**os.environ, "APP_ENV": "testing", "PYTHONPATH": str(copy.parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_a_new_file_is_a_new_task_and_a_publisher_imports_none(copy: Path) -> None:
    (copy / "new.py").write_text(TASK, "utf-8")
    code = f"""
import sys
from {app.main}.celery import app
assert not [name for name in sys.modules if name.startswith("{app.main}.tasks")]
app.loader.import_default_modules()
print(app.tasks["new.task"].__module__)
"""
    ended = run(copy, "-c", code)
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1] == f"{app.main}.tasks.new"


@pytest.mark.parametrize(("command", "code", "error"), BROKEN)
def test_a_broken_module_ends_every_process(
    command: str, code: str, error: str, copy: Path
) -> None:
    (copy / "broken.py").write_text(code, "utf-8")
    ended = run(copy, "-m", "celery", "-A", app.main, *command.split())
    assert ended.returncode != 0
    assert error in ended.stdout
    assert str(Path("tasks", "broken.py")) in ended.stdout
