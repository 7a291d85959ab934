"""The contract of the engine room with its libraries: `contract.toml`, compared with what is installed.

Run by the interpreter of an environment that has those libraries, in a folder with a copy of the engine room as
`alone/engine`, it prints a line for each row that no longer holds and for each override that has no row.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import io
import pkgutil
import re
import sys
import textwrap
import tokenize
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("contract.toml")

#: What to do about a name without a row.
ENTER = "enter it in tests/contract.toml"

#: What a comment cites as the reason for our code: `(celery/beat.py, `Service.start`)`.
CITATION = re.compile(r"\((\w+(?:/\w+)+)\.py,([^)]*)\)")

#: Modules whose names are documented, or so old and so much used that they count as such.
DOCUMENTED = {
    *("celery", "celery.app.task", "celery.beat", "celery.bootsteps", "celery.canvas", "celery.exceptions"),
    *("celery.result", "celery.schedules", "celery.signals", "celery.states", "celery.utils", "celery.utils.log"),
    *("kombu", "kombu.exceptions", "kombu.utils.json", "redis", "redis.exceptions", "redis.sentinel"),
    *("prometheus_client", "prometheus_client.core", "prometheus_client.multiprocess", "prometheus_client.registry"),
    "django_celery_beat.models",
}

#: Values that a row repeats; of all others it has the type.
PLAIN = (bool, bytes, float, int, str, type(None))

#: What Python and its library give to classes.
OF_PYTHON = {"_abc_impl", "_is_protocol"}

#: Overridden data of these types is what a library asks for; anything else has a row.
SETTINGS = (*PLAIN, dict, list, set, tuple)


def load(table: Path = TABLE) -> dict[str, Any]:
    """Return the table: `libraries`, and for each file of ours the names that it relies on."""
    return tomllib.loads(table.read_text("utf-8"))


def rows(table: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield file, name of a library, and what is known of it."""
    for file, names in table.items():
        if file != "libraries":
            for name, row in names.items():
                yield file, name, row


def last(name: str) -> str:
    """Return the last part of a name such as `celery.beat:Service.start`."""
    return re.split("[:.]", name)[-1]


def is_private(name: str) -> bool:
    """Say whether a name has one leading underscore: those with two belong to Python."""
    return name.startswith("_") and not name.startswith("__")


# What our files use, found in their text.


def unlisted(root: Path, table: dict[str, Any]) -> list[str]:
    """Return a line for each name that a file uses and the table lacks, and for each row that nothing uses.

    Args:
        root: A copy of the engine room.
        table: The table.
    """
    found = [
        f"runtime/{file}{line}: {ENTER}"
        for path in sorted(root.rglob("*.py"))
        for file in [path.relative_to(root).as_posix()]
        for line in without_row(path.read_text("utf-8"), table.get(file, {}), set(table["libraries"]))
    ]
    for file, name, row in rows(table):
        if not (root / file).exists():
            found.append(f"tests/contract.toml: there is no runtime/{file}")
        elif "code" not in row and not re.search(rf"\b{last(name)}\b", (root / file).read_text("utf-8")):
            found.append(f"tests/contract.toml: runtime/{file} no longer names {name}")
    return found


def without_row(text: str, listed: dict[str, dict[str, Any]], libraries: set[str]) -> Iterator[str]:
    """Yield what a file uses, replaces, imports and cites of libraries without a row, with its line."""
    tree = ast.parse(text)
    known = {last(name) for name in listed}.union(*(row.get("sets", ()) for row in listed.values()))
    for name, line in private_uses(tree):
        if name not in known:
            yield f":{line} uses {name} of another library"
    for name, line in replacements(tree, libraries):
        if name not in known:
            yield f":{line} replaces {name} of another library"
    for name, line in internal_imports(tree, libraries):
        module = name.replace(":", ".")  # unless it is a class or a function
        if not any(row == name or row.startswith((f"{name}.", f"{module}:", f"{module}.")) for row in listed):
            yield f":{line} imports {name}"
    for name in citations(text, libraries):
        if not any(row.startswith(name.partition(":")[0]) and last(row) == last(name) for row in listed):
            yield f" cites {name}"


def private_uses(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the private names that a module takes from other libraries, with their lines.

    Its own are those that it defines itself, as long as it reads them from `self` or `cls`.
    """
    own = set(definitions(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            is_ours = isinstance(node.value, ast.Name) and node.value.id in {"self", "cls"} and node.attr in own
            if not is_ours:
                yield node.attr, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            if any(map(is_private, names)):
                yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("attr"):
            for argument in node.args[1:2]:
                if isinstance(argument, ast.Constant) and is_private(str(argument.value)):
                    yield str(argument.value), node.lineno


def replacements(tree: ast.Module, libraries: set[str]) -> Iterator[tuple[str, int]]:
    """Yield the attributes that a module replaces in what it imports from these libraries."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] in libraries
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            place = ast.unparse(node.value).split(".")[0]
            if place in imported:
                yield node.attr, node.lineno


def internal_imports(tree: ast.Module, libraries: set[str]) -> Iterator[tuple[str, int]]:
    """Yield what a module imports from parts of these libraries that are not documented."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level:
            module = node.module or ""
            is_listed = module in DOCUMENTED or any(map(is_private, module.split(".")))  # here or above
            if not is_listed and module.split(".")[0] in libraries:
                yield from ((f"{module}:{alias.name}", node.lineno) for alias in node.names)


def definitions(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module binds: functions, variables, and attributes where a class declares or sets them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
    for node in ast.walk(tree):
        is_plain = isinstance(node, ast.ClassDef) and all(  # its attributes can be no other's
            ast.unparse(base).startswith("Generic[") for base in node.bases
        )
        for inner in ast.walk(node) if is_plain else ():
            if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
                yield inner.attr


def citations(text: str, libraries: set[str]) -> Iterator[str]:
    """Yield the names that comments and docstrings cite of these libraries."""
    plain = re.sub(r"\s+(#:? )?", " ", text)
    for path, names in CITATION.findall(plain):
        if path.split("/")[0] in libraries:
            yield from (f"{path.replace('/', '.')}:{name}" for name in re.findall(r"`([\w.]+)`", names))


# What is installed.


def resolve(name: str) -> tuple[Any, str]:
    """Return the place of a name, a module or a class, and its last part."""
    module, _, path = name.partition(":")
    place: Any = import_module(module)
    *classes, attribute = path.split(".")
    for part in classes:
        place = getattr(place, part)
    return place, attribute


def fact(name: str) -> str:
    """Return what a name stands for: a signature, a kind, a plain value, or what an attribute is set to.

    Raises:
        AttributeError: It stands for nothing.
    """
    place, attribute = resolve(name)
    try:
        value = inspect.getattr_static(place, attribute)
    except AttributeError:
        return assigned(place, attribute)
    value = getattr(value, "__func__", value)
    if inspect.isfunction(value):
        return signature(value)
    if inspect.isclass(value):
        return f"class({', '.join(base.__name__ for base in value.__bases__)})"
    if isinstance(value, PLAIN):
        return repr(value)
    return type(value).__name__


def signature(function: Any) -> str:
    """Return a signature without annotations and addresses."""
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if callable(default) and default is not inspect.Parameter.empty:
            parameter = parameter.replace(default=None)  # a global that is made a local one
        parameters.append(parameter.replace(annotation=inspect.Parameter.empty))
    return re.sub(" at 0x[0-9a-f]+", "", str(inspect.Signature(parameters)))


def assigned(place: Any, attribute: str) -> str:
    """Return what the methods of a class set an attribute to.

    Raises:
        AttributeError: None does.
    """
    for owner in place.__mro__[:-1] if inspect.isclass(place) else ():
        tree = ast.parse(textwrap.dedent(source(owner)))
        values = {
            ast.unparse(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Attribute) and target.attr == attribute for target in node.targets)
        }
        slots = getattr(owner, "__slots__", ())
        if values or attribute in slots:
            return f"= {' | '.join(sorted(values)) or 'a slot'}"
    raise AttributeError(attribute)


def text(name: str) -> str:
    """Return the source of a function or a class."""
    place, attribute = resolve(name)
    value = inspect.getattr_static(place, attribute)
    for wrapper in ("__func__", "fget", "func"):  # of methods, properties and cached ones
        value = getattr(value, wrapper, value)
    return textwrap.dedent(inspect.getsource(inspect.unwrap(value)))


def code(name: str) -> str:
    """Return a hash of the lines of a function or a class, without comments, docstrings and layout."""
    source = text(name)
    silent = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None
        for number in range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1)
    }
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    words = (token.string for token in tokens if token.type != tokenize.COMMENT and token.start[0] not in silent)
    return hashlib.sha256("".join("".join(words).split()).encode()).hexdigest()[:10]


def broken(table: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each row that no longer holds."""
    for file, name, row in rows(table):
        reason = f": {row['why']}" if "why" in row else ""
        where = f"look at runtime/{file}{reason}"
        try:
            is_now = fact(name)
        except (ImportError, AttributeError):
            yield f"{name} is gone; {where}"
            continue
        if is_now != row["is"]:
            yield f"{name} is {is_now!r}, and was {row['is']!r}; {where}"
            continue
        for attribute in row.get("sets", ()):
            if attribute not in text(name):
                yield f"{name} no longer sets {attribute}; {where}"
        if "code" in row and (is_now := code(name)) != row["code"]:
            yield f"{name} has other lines: {is_now!r}, and was {row['code']!r}; {where}"


# What our classes override.


def engine() -> Iterator[Any]:
    """Yield the modules of the copy of the engine room."""
    package = import_module("alone.engine")
    for found in pkgutil.walk_packages(package.__path__, "alone.engine."):
        if not {"migrations", "versions"} & set(found.name.split(".")):
            yield import_module(found.name)


def overrides(table: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each override without a row, and for each private name of ours that a library has too."""
    found: dict[str, None] = {}
    for module in engine():
        for ours in vars(module).values():
            if inspect.isclass(ours) and ours.__module__ == module.__name__:
                theirs = [base for base in ours.__mro__ if base.__module__.split(".")[0] in table["libraries"]]
                for part in ours.__mro__:  # with the mixins of ours
                    if part.__module__.startswith("alone.engine."):
                        found |= dict.fromkeys(conflicts(part, theirs, table))
    yield from found


def conflicts(ours: type, theirs: list[type], table: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each name of a class that others have too, and no row has."""
    file = Path(str(sys.modules[ours.__module__].__file__)).relative_to(Path("alone/engine").resolve()).as_posix()
    known = {last(name) for name in table.get(file, {})} | OF_PYTHON
    for name in vars(ours):
        if name.startswith("__") or name in known:
            continue
        owner = next((base for base in theirs if name in vars(base)), None)
        if owner and (is_private(name) or not isinstance(vars(owner)[name], SETTINGS)):
            yield (f"{ours.__name__} in runtime/{file} overrides {owner.__module__}:{owner.__name__}.{name}: {ENTER}")
        elif is_private(name):
            for base in theirs:
                if re.search(rf"\b{name}\b", source(base)):
                    yield (
                        f"{base.__module__}:{base.__name__} has a {name} too, which {ours.__name__} in"
                        f" runtime/{file} believes to be its own"
                    )


@cache
def source(place: type) -> str:
    """Return the text of a class."""
    try:
        return inspect.getsource(place)
    except (OSError, TypeError):
        return ""


def main(prelude: str) -> None:
    """Print every fault.

    Args:
        prelude: Python code to run first.
    """
    exec(prelude, {})  # noqa: S102 - of the tests
    table = load()
    for line in [*broken(table), *overrides(table)]:
        print(line)


if __name__ == "__main__":
    main(sys.argv[1])
