"""Compare the time to generate a project with that of a template with the same number of plain files.

Both run as `cookiecutter --no-input` in a process of its own, in pairs and in alternating order.
The bare template has the files of the default variant, with the same names and sizes, but no Jinja
in them, no hooks and one question. CPU time is that of the whole process tree.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parent.parent
GOAL = 1.35
SLUG = "{{cookiecutter.project_slug}}"


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder for everything that is written, including configuration and hooks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folders = {key: str(folder / key) for key in ("cookiecutters_dir", "replay_dir")}
        (folder / "config.yaml").write_text(json.dumps(folders), "utf-8")
        yield folder


def bake(template: Path, folder: Path) -> tuple[Path, float, float]:
    """Bake into a new folder; return the project, seconds of CPU, and seconds of wall time."""
    out = Path(tempfile.mkdtemp(dir=folder))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(out), str(template)],
        env={
            **os.environ,
            "COOKIECUTTER_CONFIG": str(folder / "config.yaml"),
            "TMPDIR": str(folder),
        },
        stdout=subprocess.DEVNULL,
        check=True,
    )
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (project,) = out.iterdir()
    return project, cpu, wall


def bare_template(project: Path, folder: Path) -> Path:
    """Make a template whose plain files are copies of a project's files, of the same size."""
    template = folder / "bare"
    for path in project.rglob("*"):
        copy = template / SLUG / path.relative_to(project)
        if path.is_file():
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text("utf-8").replace("{", "("), "utf-8")
    answers = {"project_slug": project.name}
    (template / "cookiecutter.json").write_text(json.dumps(answers), "utf-8")
    return template


def quartiles(values: list[float]) -> str:
    """Return the median of values, and their quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.3f} ({low:.3f} to {high:.3f})"


def main() -> None:
    """Print the medians, and the median of the ratios of all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=15, help="number of pairs (15)")
    pairs = max(2, parser.parse_args().pairs)
    with scratch() as folder:
        project, _, _ = bake(TEMPLATE, folder)
        templates = {"template": TEMPLATE, "bare": bare_template(project, folder)}
        count = sum(path.is_file() for path in project.rglob("*"))
        seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in templates}
        bake(templates["bare"], folder)  # as warm as the other
        for pair in range(pairs):
            for name in sorted(templates, reverse=bool(pair % 2)):
                _, cpu, wall = bake(templates[name], folder)
                seconds[name].append((cpu, wall))
    print(f"{count} files, {pairs} pairs; medians, with quartiles")
    for index, measure in enumerate(("CPU", "wall")):
        values = {name: [row[index] for row in rows] for name, rows in seconds.items()}
        ratios = [one / other for one, other in zip(values["template"], values["bare"], strict=True)]
        print(f"{measure:5} template {quartiles(values['template'])} s")
        print(f"{measure:5} bare     {quartiles(values['bare'])} s")
        goal = f", goal at most {GOAL}" if measure == "CPU" else ""
        print(f"{measure:5} ratio    {quartiles(ratios)}{goal}")


if __name__ == "__main__":
    main()
