"""Delete what the answers leave out, by the table ``_removals``, and say what to do next."""

import json
from pathlib import Path
from shutil import rmtree

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")


def remove(path: Path) -> None:
    """Delete a file or a folder."""
    rmtree(path) if path.is_dir() else path.unlink()


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
    print(f"\n{project.name} is ready. Next:\n\n  cd {project.name}\n  make dev\n")


if __name__ == "__main__":
    main()
