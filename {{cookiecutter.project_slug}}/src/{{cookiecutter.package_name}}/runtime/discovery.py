"""Discovery of the modules that hold tasks."""

from importlib.util import find_spec
from pathlib import Path


def modules(*packages: str) -> list[str]:
    """Return the names of all modules in packages and their folders, without importing them.

    A worker imports all of them when it starts, and does not start if an import fails. Names that
    begin with an underscore or a dot are left out, and so are tests: `tests`, `test_*`, `conftest`.

    Args:
        packages: Full names of packages, such as `shop.tasks`.

    Raises:
        ModuleNotFoundError: There is no such package.
    """
    return [name for package in packages for name in (package, *below(package))]


def below(package: str) -> list[str]:
    """Return the names of the modules inside a package."""
    spec = find_spec(package)
    folders = list(spec.submodule_search_locations or ()) if spec else []
    if not folders:
        raise ModuleNotFoundError(f"there is no package {package!r} with tasks", name=package)
    found = {
        path.relative_to(folder).with_suffix("").parts
        for folder in folders
        for path in Path(folder).rglob("*.py")
    }
    names = sorted(name for name in map(without_init, found) if may_hold_tasks(name))
    return [".".join((package, *name)) for name in names]


def without_init(name: tuple[str, ...]) -> tuple[str, ...]:
    """Return the name of a package instead of the name of its `__init__`."""
    return name[:-1] if name[-1] == "__init__" else name


def may_hold_tasks(name: tuple[str, ...]) -> bool:
    """Whether a module may hold tasks, judged by its name alone."""
    return bool(name) and not any(
        part.startswith(("_", ".", "test_")) or part in {"tests", "conftest"} for part in name
    )
