"""The summary of a `nox` run: its sessions, what was missing, and docs/proof.md after a full run.

`python summary.py [--proof FILE] NAME=RECORD...` reads the records that `pytest --record` left; it needs Python alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

#: Stands between what is missing and how to get it, in the reason of a skip.
REMEDY = ": "

Records = Mapping[str, dict[str, Any] | None]


def read(places: Iterable[str]) -> Records:
    """Return the records by session; tests that were interrupted leave none."""
    pairs = (place.split("=", 1) for place in places)
    return {name: json.loads(Path(path).read_text("utf-8")) if Path(path).exists() else None for name, path in pairs}


def duration(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02}"


def sessions(records: Records) -> list[list[str]]:
    """Return the table of sessions, with the number of tests, their outcomes, and the time of the clock and the CPU."""
    outcomes = ("passed", "skipped", "failed", "error")
    rows = [["session", *outcomes, "min:s", "CPU min:s"]]
    total, seconds, computed = Counter[str](), 0.0, 0.0
    for name, record in records.items():
        if record is None:
            rows.append([name, "broken off", *[""] * (len(outcomes) + 1)])
            continue
        cpu = sum(record["cpu"].values())
        times = [duration(record["seconds"]), duration(cpu)]
        rows.append([name, *(str(record["counts"][outcome]) for outcome in outcomes), *times])
        total.update(record["counts"])
        seconds, computed = seconds + record["seconds"], computed + cpu
    return [*rows, ["all", *(str(total[outcome]) for outcome in outcomes), duration(seconds), duration(computed)]]


def missing(records: Records) -> list[list[str]]:
    """Return the table of missing things, with how to get them and the tests that were skipped."""
    skipped: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in filter(None, records.values()):
        for test, reason in record["skipped"]:
            skipped[reason][Path(test.partition("::")[0]).stem] += 1
    rows = [["missing", "how to get it", "skipped tests"]]
    for reason, modules in sorted(skipped.items(), key=lambda item: -item[1].total()):
        what, _, remedy = reason.partition(REMEDY)
        tests = ", ".join(f"{count} of {module}" for module, count in sorted(modules.items()))
        rows.append([what, remedy, f"{modules.total()}: {tests}"])
    return rows


def text(rows: list[list[str]]) -> str:
    """Return a table for a terminal."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines)


def markdown(rows: list[list[str]]) -> str:
    """Return a table for a document."""
    first, *others = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([first, "|---" * len(rows[0]) + "|", *others])


def machine() -> str:
    """Return a description of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    release = (
        platform.freedesktop_os_release()["PRETTY_NAME"] if Path("/etc/os-release").exists() else platform.system()
    )
    return f"{os.cpu_count()} processors, {memory:.0f} GB of memory, {release}, Python {platform.python_version()}"


def proof(records: Records) -> str:
    """Return the document of a full run that has passed."""
    parts = [
        "# Proof",
        "`nox -s full` wrote this file; nobody edits it.",
        f"{datetime.now(UTC):%Y-%m-%d}, on {machine()}.",
        "## Sessions",
        markdown(sessions(records)),
        "## Figures",
        "What the tests print.",
    ]
    for name, record in records.items():
        if record and record["figures"]:
            figures = "\n\n".join(re.sub(r"(?m) +$", "", figure) for figure in record["figures"])
            parts += [f"### {name}", f"```text\n{figures}\n```"]
    return "\n\n".join(parts) + "\n"


def main() -> str:
    """Print the tables, write the proof if asked to, and return why it could not be written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--proof", type=Path)
    parser.add_argument("records", nargs="*")
    options = parser.parse_args()
    records = read(options.records)
    print(f"\n{text(sessions(records))}\n")
    if len(rows := missing(records)) > 1:
        print(f"{text(rows)}\n")
    else:
        print("Nothing was missing, and no test was skipped.\n")
    if options.proof:
        if len(rows) > 1 or any(
            not record or record["counts"]["failed"] or record["counts"]["error"] for record in records.values()
        ):
            return f"{options.proof} stays as it was: it tells only of runs in which all tests passed"
        options.proof.write_text(proof(records), "utf-8")
    return ""


if __name__ == "__main__":
    sys.exit(main() or None)
