"""Delete the parts that the answers leave out, by the table ``_removals``, and say what to do next.

Only files that cookiecutter has just written are deleted: ``pre_gen_project.py`` has set aside files
that existed before, and they are put back at the end.
"""

import io
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
ASIDE = Path(ANSWERS["_set_aside"])


def remove(path: Path) -> None:
    """Delete a file or a folder, and the new folders around it that are empty now."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in path.parents[:-1]:
        if any(folder.iterdir()) or (ASIDE / folder).is_dir():
            break
        folder.rmdir()


def put_back() -> list[str]:
    """Move files that were set aside back to where they were, and return a line for each path."""
    kept = []
    for path in sorted(ASIDE.rglob("*")):
        place = path.relative_to(ASIDE)
        if os.path.lexists(path) and not os.path.lexists(place):
            shutil.move(path, place)
            kept.append(f"  {place.as_posix()}")
    shutil.rmtree(ASIDE, ignore_errors=True)
    return kept


def tell(project: Path) -> None:
    """Print what to do next, and which answers were changed because others need that."""
    demo = "  make demo  # in a second terminal\n" if ANSWERS["examples"] != "none" else ""
    print(f"\n{project.name} is ready. Next:\n\n  cd {shlex.quote(str(project))}\n  make dev\n{demo}")
    if added := ANSWERS["__added"]:
        print(f"Some answers require others, so these were changed:\n\n{added}")


def main() -> None:
    """Apply every row of the table whose conditions all hold."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # show the number of a character that a console lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    package = f"src/{ANSWERS['package_name']}/"
    for row in ANSWERS["_removals"].values():
        if all(ANSWERS[option] in values for option, values in row["when"].items()):
            for pattern in row["paths"]:
                for path in list(Path().glob(pattern.replace("src/*/", package))):
                    remove(path)
    if kept := put_back():
        print("\nThese existed before and are unchanged, although your answers leave them out:", *kept, sep="\n")
    tell(Path.cwd())


if __name__ == "__main__":
    main()
