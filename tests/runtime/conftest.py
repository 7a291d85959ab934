"""Which of these tests a project runs: those of the parts that it has."""

import ast
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

#: The package for which these tests are written.
PACKAGE = "my_celery_project"


def imports(tree: ast.Module) -> Iterator[tuple[str, ast.alias]]:
    """Yield what a module imports at its top by `from ... import`: from where, and what."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield from ((str(node.module), alias) for alias in node.names)


def missing(file: Path, package: Path) -> list[str]:
    """Return what a module of tests imports of a project, and the project does not have.

    Args:
        file: The module.
        package: The folder of the project's package.
    """
    return [
        f"{module}.{alias.name}"
        for module, alias in imports(ast.parse(file.read_text("utf-8")))
        if f"{module}.".startswith(f"{PACKAGE}.")
        and not is_there(package.joinpath(*module.split(".")[1:]), alias.name)
    ]


def is_there(module: Path, name: str) -> bool:
    """Return whether a name can be imported from a module, given by its path without the suffix."""
    if module.with_suffix(".py").is_file():
        return True
    init, below = module / "__init__.py", module / name
    if below.with_suffix(".py").is_file() or (below / "__init__.py").is_file():
        return True
    return init.is_file() and name in bound(ast.parse(init.read_text("utf-8")))


def bound(tree: ast.Module) -> set[str]:
    """Return the names that a module has."""
    names = {alias.asname or alias.name for _, alias in imports(tree)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def applies(file: Path, package: Path) -> bool:
    """Return whether a project has what a module of tests is about, and what its folder is about."""
    both = (file, file.with_name("conftest.py"))
    return not any(missing(path, package) for path in both if path.is_file())


@cache
def here() -> Path:
    """Return the folder of the package of this project."""
    spec = find_spec(PACKAGE)
    assert spec
    assert spec.origin
    return Path(spec.origin).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what tests a part of the runtime that this project does not have."""
    file = collection_path / "conftest.py" if collection_path.is_dir() else collection_path
    return not applies(file, here()) or None


@pytest.fixture
def store(request: pytest.FixtureRequest) -> None:
    """Keep dead letters in a Redis in memory, in a project that keeps them in a Redis."""
    if find_spec("fakeredis"):
        request.getfixturevalue("redis")
