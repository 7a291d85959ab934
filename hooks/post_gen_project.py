"""Delete what the answers leave out, by the table ``_removals``, and say what to do next.

Only what this bake wrote is deleted: what was there before has been set aside by
``pre_gen_project.py``, and comes back at the end.
"""

import io
import json
import os
import shutil
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
ASIDE = Path(ANSWERS["_set_aside"])


def remove(path: Path) -> None:
    """Delete a file or a folder, and the folders around it that this bake made and that are empty now."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in path.parents[:-1]:
        if any(folder.iterdir()) or (ASIDE / folder).is_dir():
            break
        folder.rmdir()


def put_back() -> list[str]:
    """Move what was set aside to where it was, and return its paths; a folder goes as a whole where it can."""
    kept = []
    for path in sorted(ASIDE.rglob("*")):
        place = path.relative_to(ASIDE)
        if os.path.lexists(path) and not os.path.lexists(place):
            shutil.move(path, place)
            kept.append(f"  {place.as_posix()}")
    shutil.rmtree(ASIDE, ignore_errors=True)
    return kept


def tell(name: str) -> None:
    """Say what to do next, and which answers were completed since others need them, one line each."""
    print(f"\n{name} is ready. Next:\n\n  cd {name}\n  make dev\n")
    if added := ANSWERS["__added"]:
        print(f"Some answers need others, so these were completed:\n\n{added}")


def main() -> None:
    """Apply every row whose conditions all hold."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a console that lacks a character shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    package = f"src/{ANSWERS['package_name']}/"
    for row in ANSWERS["_removals"].values():
        if all(ANSWERS[option] in values for option, values in row["when"].items()):
            for pattern in row["paths"]:
                for path in list(Path().glob(pattern.replace("src/*/", package))):
                    remove(path)
    if kept := put_back():
        print("\nThese were here before and stay as they are, although your answers leave them out:", *kept, sep="\n")
    tell(Path.cwd().name)


if __name__ == "__main__":
    main()
