"""Write the imports of a project anew, after the move of its machinery into `runtime/`.

    python3 ../celery-template/docs/moved_imports.py src tests

The table of `upgrade.md`, beside this file, says what is where. Comments inside an import are lost; all else stays.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

#: What stands for all names of a module.
ALL = "*"


def moved(document: str) -> dict[tuple[str, str], str]:
    """Return where a name of a module is now, by module and name, from the table of the document."""
    table = document.partition("| before | now |\n")[2].partition("\n\n")[0]
    places = {}
    for line in table.splitlines()[1:]:
        before, now = line.strip("| ").split(" | ")
        module, *names = re.findall(r"`([\w.]+)`", before)
        for name in names or [ALL]:
            places[module, name] = now.strip("`")
    return places


def absolute(node: ast.ImportFrom, path: Path, root: Path) -> str:
    """Return the module that a statement imports from, below the package; empty if it is another one."""
    package = root.name
    if node.level:
        above = path.relative_to(root.parent).parts[: -node.level] if path.is_relative_to(root) else ()
        full = ".".join([*above, *filter(None, [node.module])])
    else:
        full = node.module or ""
    return full.removeprefix(package).removeprefix(".") if full.partition(".")[0] == package else "/"


def statements(
    node: ast.ImportFrom, path: Path, root: Path, places: dict[tuple[str, str], str]
) -> Iterator[tuple[str, str]]:
    """Yield the module, as the file names it, and the name of each thing that a statement imports."""
    module = absolute(node, path, root)
    for alias in node.names:
        inner = f"{module}.{alias.name}".strip(".")
        source, name, known_as = module, alias.name, alias.asname
        if place := places.get((module, name), places.get((module, ALL))):
            source = place
        elif place := places.get((inner, ALL)):  # a module that is imported as a whole
            source, _, name = place.rpartition(".")
            known_as = known_as or (alias.name if alias.name != name else None)
        if source == module:
            where = "." * node.level + (node.module or "")
        elif node.level:
            where = "." * len(path.relative_to(root).parts) + source
        else:
            where = f"{root.name}.{source}"
        yield where, f"{name} as {known_as}" if known_as else name


def rewrite(path: Path, root: Path, places: dict[tuple[str, str], str]) -> str:
    """Return the text of a file with its imports written anew."""
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    for node in sorted(nodes, key=lambda node: node.lineno, reverse=True):
        found: dict[str, list[str]] = {}
        for where, name in statements(node, path, root, places):
            found.setdefault(where, []).append(name)
        if list(found) != ["." * node.level + (node.module or "")]:
            blank = " " * node.col_offset
            new = [f"{blank}from {where} import {', '.join(names)}\n" for where, names in found.items()]
            lines[node.lineno - 1 : node.end_lineno] = new
    return "".join(lines)


def main() -> None:
    """Rewrite the files of the folders that the command line names, except `runtime/`."""
    places = moved(Path(__file__).with_name("upgrade.md").read_text("utf-8"))
    root = next(path.parent for path in Path("src").glob("*/celery.py"))
    unread = []
    for path in (path for folder in sys.argv[1:] for path in sorted(Path(folder).rglob("*.py"))):
        if path.is_relative_to(root / "runtime"):
            continue
        try:
            new = rewrite(path, root, places)
        except SyntaxError as error:
            unread.append(f"{path}:{error.lineno} is not Python: resolve its conflict, and run this again")
            continue
        if new != path.read_text("utf-8"):
            path.write_text(new, "utf-8")
            print(path)
    if unread:
        sys.exit("\n".join(unread))


if __name__ == "__main__":
    main()
