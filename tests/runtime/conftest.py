"""Which of these tests a project runs: those of what it has."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

#: The package for which these tests are written.
PACKAGE = "my_celery_project"


def imports(tree: ast.Module) -> Iterator[tuple[str, ast.alias]]:
    """Yield what a module imports at its top: from where, or nothing, and what."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            source = str(node.module) if isinstance(node, ast.ImportFrom) else ""
            yield from ((source, alias) for alias in node.names)


def missing(file: Path, package: Path) -> list[str]:
    """Return what a file imports that is not there: of a project, or of a library.

    Args:
        file: A module of tests.
        package: The folder of the project's package.
    """
    pairs = (
        (source, alias.name) if source else (alias.name, "")
        for source, alias in imports(ast.parse(file.read_text("utf-8")))
    )
    return [f"{module}.{name}" for module, name in pairs if not is_there(module, name, package)]


def is_there(module: str, name: str, package: Path) -> bool:
    """Return whether a module, with a name in it, can be imported."""
    top, _, rest = module.partition(".")
    if top != PACKAGE:
        return top in sys.modules or find_spec(top) is not None
    path = package.joinpath(*rest.split(".")) if rest else package
    if path.with_suffix(".py").is_file():
        return True
    init = path / "__init__.py"
    if not init.is_file():
        return False
    below = path / name
    known = below.with_suffix(".py").is_file() or (below / "__init__.py").is_file()
    return known or name in bound(ast.parse(init.read_text("utf-8")))


def bound(tree: ast.Module) -> set[str]:
    """Return the names that a module has in the end."""
    names = {alias.asname or alias.name for _, alias in imports(tree)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


@cache
def lacks(path: Path) -> bool:
    """Return whether a project does not have what a module is about, or the conftest of a folder."""
    spec = find_spec(PACKAGE)
    assert spec
    assert spec.origin
    file = path / "conftest.py" if path.is_dir() else path
    return file.is_file() and bool(missing(file, Path(spec.origin).parent))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what tests a part of the runtime that this project does not have."""
    return lacks(collection_path) or None


@pytest.fixture
def store(request: pytest.FixtureRequest) -> None:
    """Keep dead letters in a Redis in memory, in a project that keeps them in a Redis."""
    if find_spec("fakeredis"):
        request.getfixturevalue("redis")
