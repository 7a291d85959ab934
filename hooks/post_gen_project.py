"""Delete what the answers leave out, by the table ``_removals``, and say what to do next."""

import json
from pathlib import Path
from shutil import rmtree

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")


def remove(path: Path) -> None:
    """Delete a file or a folder."""
    rmtree(path) if path.is_dir() else path.unlink()


def tell(name: str) -> None:
    """Say what to do next, and which answers were completed since others need them, one line each."""
    print(f"\n{name} is ready. Next:\n\n  cd {name}\n  make dev\n")
    if added := ANSWERS["__added"]:
        print(f"Some answers need others, so these were completed:\n\n{added}")


def main() -> None:
    """Apply every row whose conditions all hold; then no empty folder stays."""
    project = Path.cwd()
    for row in ANSWERS["_removals"].values():
        if all(ANSWERS[option] in values for option, values in row["when"].items()):
            for pattern in row["paths"]:
                for path in list(project.glob(pattern)):
                    remove(path)
    for folder in sorted((path for path in project.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    tell(project.name)


if __name__ == "__main__":
    main()
