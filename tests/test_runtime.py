"""The rules of runtime/: the same in every project, imports nothing of a project, no circular imports."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from conftest import Baked
from support import python_of
from variants import PROJECT, TEMPLATE, Answers, pairwise, variant_id

RUNTIME = TEMPLATE / PROJECT / "src" / "{{cookiecutter.package_name}}" / "runtime"

#: The files that every project has, whatever its answers.
CORE = {"app.py", "broker.py", "config/settings.py", "letters/store.py", "tasks/base.py", "worker/checks.py"}

#: Settings of a project with Django, of which the modules of Django's part are imported.
DJANGO = """
import django, os, sys
from django.conf import settings
apps = ["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages",
        "django.contrib.sessions", "django_celery_beat", "django_celery_results", "alone.engine.django"]
settings.configure(INSTALLED_APPS=apps, SECRET_KEY="alone", USE_TZ=True)
django.setup()
"""

IMPORT_ALL = """
from importlib import import_module
from pathlib import Path
root = Path("alone/engine")
for file in sorted(root.rglob("*.py")):
    if "versions" not in file.parts and "migrations" not in file.parts:
        import_module(".".join(file.with_suffix("").parts).removesuffix(".__init__"))
        print(file.relative_to(root).as_posix())
"""


def modules(root: Path = RUNTIME) -> dict[str, Path]:
    """Return all modules of a copy of the engine room by their names."""
    return {name_of(path, root): path for path in sorted(root.rglob("*.py"))}


def name_of(path: Path, root: Path) -> str:
    """Return the dotted name of a module, which begins with that of its root folder."""
    parts = path.relative_to(root.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(name: str, path: Path, known: set[str], at_start: bool) -> Iterator[str]:
    """Yield the relative imports of a module, as full names.

    Args:
        name: The module.
        path: Its file.
        known: The names of all modules.
        at_start: Whether only imports count that run when the module is imported.
    """
    tree = ast.parse(path.read_text("utf-8"))
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in run_at_import(tree.body) if at_start else ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            if node.level > len(package):
                yield f"a package outside, in line {node.lineno}"
                continue
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            for alias in node.names:
                parent = ".".join(filter(None, base))
                yield f"{parent}.{alias.name}" if f"{parent}.{alias.name}" in known else parent


def run_at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported, without those for type checkers."""
    for node in body:
        if isinstance(node, ast.If):
            yield from run_at_import(node.orelse if "TYPE_CHECKING" in ast.unparse(node.test) else node.body)
        elif isinstance(node, ast.Try | ast.With):
            yield from run_at_import(node.body)
        else:
            yield node


def faults(root: Path) -> list[str]:
    """Return what breaks a rule in a copy of the engine room.

    The pages of Django's admin are templates of Django, whose marks are those of Jinja.
    """
    pages = root / "django" / "templates"
    found = [
        f"{path.relative_to(root)} holds Jinja"
        for path in root.rglob("*")
        if path.is_file()
        and pages not in path.parents
        and any(mark in path.read_text("utf-8") for mark in ("{" + "{", "{" + "%", "{" + "#"))
    ]
    known = modules(root)
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        for target in imports(name, path, set(known), at_start=False):
            if target not in known:
                found.append(f"{name} imports {target}")
        graph[name] = {target for target in imports(name, path, set(known), at_start=True) if target != name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"a circle: {' imports '.join(error.args[1])}")
    return found


def test_the_engine_room_knows_nothing_of_a_project() -> None:
    assert len(modules()) > 100
    assert faults(RUNTIME) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("from ..queues import QUEUES\n", "imports a package outside"),
        ("def f():\n    from .. import settings\n", "imports a package outside"),
        ("NAME = '{{ cookiecutter.package_name }}'\n", "holds Jinja"),
        ("from .tasks import base\n", "a circle"),
        ("from .nowhere import f\n", "imports runtime.nowhere"),
    ],
)
def test_each_broken_rule_is_found(text: str, fault: str, tmp_path: Path) -> None:
    copy = tmp_path / "runtime"
    shutil.copytree(RUNTIME, copy)
    errors = copy / "errors.py"  # which tasks/base.py imports
    errors.write_text(f"{errors.read_text('utf-8')}\n{text}", "utf-8")
    assert any(fault in line for line in faults(copy))


def test_every_module_is_imported_under_another_name_with_nothing_of_a_project(
    environment: Path, tmp_path: Path
) -> None:
    shutil.copytree(RUNTIME, tmp_path / "alone" / "engine")
    (tmp_path / "alone" / "__init__.py").touch()
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("APP_", "CELERY_", "DATABASE_"))}
    done = subprocess.run(
        [python_of(environment), "-c", DJANGO + IMPORT_ALL],
        cwd=tmp_path,
        env={**bare, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) >= CORE


@pytest.mark.parametrize("answers", pairwise(), ids=variant_id)
def test_the_engine_room_is_the_same_in_every_project_that_has_it(answers: Answers, baked: Baked) -> None:
    (copy,) = baked(answers).glob("src/*/runtime")
    files = {path.relative_to(copy).as_posix(): path for path in copy.rglob("*") if path.is_file()}
    assert files.keys() >= CORE
    differing = [name for name, path in files.items() if path.read_bytes() != (RUNTIME / name).read_bytes()]
    assert differing == []
    empty = [folder for folder in copy.rglob("*") if folder.is_dir() and not any(folder.iterdir())]
    assert empty == []
