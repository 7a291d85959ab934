"""Measure what a generated project costs before its first task, against plain Celery.

    python benchmarks/startup.py

Each round measures, in alternating order and in fresh processes with compiled modules:

    publisher   CPU and wall time of a process that imports the app, finalizes it and loads the transport, as every
                web process and command does before it can send its first task
    worker      CPU and wall time from the start of a prefork worker until it is ready, and the memory (PSS) of its
                main process with two children

Plain Celery is an app with the same broker, the same result backend and one task, in the same environment and started
with the same options. The project is the default one with its examples. `libraries` is plain Celery in a publisher that
also imports pydantic-settings, which the project reads its configuration with: no project of this kind can be below it.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from throughput import cpu_seconds, environment

# throughput.py has put the folder of the tests on the path.
from servers import kill_group, redis_server, wait_until  # isort: skip

#: At most so many times what plain Celery takes.
GOALS = {"publisher CPU": 1.25, "worker wall": 1.15, "worker memory": 1.15}

PLAIN = """
import os

from celery import Celery

app = Celery("plain", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])


@app.task
def noop() -> None:
    pass
"""

PROJECT = "from my_celery_project.celery import app\n"

LIBRARIES = f"import pydantic_settings\n{PLAIN}"

#: What a publisher has done when it can connect.
PUBLISH = """
from bench import app

app.finalize()
app.amqp
app.connection_for_write().transport
"""

#: How a worker is run: of what it could do, nobody waits for other workers.
OPTIONS = ["--loglevel", "INFO", "--pool", "prefork", "--concurrency", "2", "--without-mingle", "--without-gossip"]

#: Seconds in which two children of a ready worker have become idle.
REST = 1.0


class Contender:
    """An app in an environment.

    Args:
        name: What it is called in the table, and its folder.
        folder: Folder for that folder.
        python: Interpreter of the environment.
        source: Python that defines `app`.
    """

    def __init__(self, name: str, folder: Path, python: Path, source: str) -> None:
        self.name, self.folder, self.python = name, folder / name, python
        self.folder.mkdir()
        (self.folder / "bench.py").write_text(source, "utf-8")
        (self.folder / "publish.py").write_text(PUBLISH, "utf-8")

    def publisher(self, env: Mapping[str, str]) -> dict[str, float]:
        """Return milliseconds of CPU and of wall time of a process that could send a task."""
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([self.python, "publish.py"], cwd=self.folder, env=env, check=True)
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"publisher CPU": 1000 * cpu, "publisher wall": 1000 * wall}

    def worker(self, env: Mapping[str, str]) -> dict[str, float]:
        """Return milliseconds until a worker is ready, and its megabytes with all processes."""
        log = self.folder / "log"
        command = [str(self.python.parent / "celery"), "-A", "bench", "worker", *OPTIONS]
        with log.open("wb") as output:
            start = time.perf_counter()
            worker = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, cwd=self.folder, env=env
            )
            try:
                while not re.search(rb"celery@\S+ ready\.", log.read_bytes()):
                    if worker.poll() is not None or time.perf_counter() - start > 120:
                        raise RuntimeError(log.read_text("utf-8"))
                    time.sleep(0.005)
                wall, cpu = time.perf_counter() - start, cpu_seconds(worker.pid)
                wait_until(lambda: len(members(worker.pid)) == 3, "a worker has two children")
                time.sleep(REST)
                memory = sum(pss(process) for process in members(worker.pid))
            finally:
                kill_group(worker.pid)  # without waiting, because the server is dropped too
                worker.wait()
        return {"worker CPU": 1000 * cpu, "worker wall": 1000 * wall, "worker memory": memory}


def members(group: int) -> list[int]:
    """Return the processes of a group."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if is_member(int(path.name), group)]


def is_member(process: int, group: int) -> bool:
    """Whether a process belongs to a group and still runs."""
    try:
        return os.getpgid(process) == group
    except ProcessLookupError:
        return False


def pss(process: int) -> float:
    """Return the megabytes of a process, of which shared ones count in part."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text("ascii")
    (kilobytes,) = re.findall(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
    return int(kilobytes) / 1024


def quartiles(values: list[float], digits: int) -> str:
    """Return the median of values, and their quartiles."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


@contextmanager
def servers(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Run a Redis; yield the variables of processes that use it."""
    ours = ("APP_", "CELERY_", "PYTHON")  # PYTHONDONTWRITEBYTECODE would be measured too
    bare = {name: value for name, value in variables.items() if not name.startswith(ours)}
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as url:
        urls = {"CELERY_BROKER_URL": f"{url}/0", "CELERY_RESULT_BACKEND": f"{url}/1"}
        yield {**bare, **urls, "APP_ENV": "development"}


def main() -> None:
    """Print a table of medians and of the ratios of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help="number of rounds (15)")
    parser.add_argument("--examples", default="starter", help="the examples of the project (starter)")
    parser.add_argument("--skip-worker", action="store_true", help="measure publishers only")
    options = parser.parse_args()
    rounds = max(2, options.rounds)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        place = environment(folder, "redis", "prefork", examples=options.examples)
        _, python = stack.enter_context(place)
        env = stack.enter_context(servers(os.environ))
        sources = {"project": PROJECT, "plain": PLAIN, "libraries": LIBRARIES}
        contenders = [Contender(label, folder, python, source) for label, source in sources.items()]
        results: dict[str, list[dict[str, float]]] = {label: [] for label in sources}
        for each in contenders:  # as warm as the later ones
            each.publisher(env)
        for number in range(rounds):
            for each in contenders if number % 2 == 0 else reversed(contenders):
                figures = each.publisher(env)
                if not options.skip_worker and each.name != "libraries":
                    figures |= each.worker(env)
                results[each.name].append(figures)
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    print(f"{rounds} rounds; medians, with quartiles, in ms and MB")
    for measure in results["project"][0]:
        plain = [row[measure] for row in results["plain"]]
        for label, rows in results.items():
            if measure not in rows[0]:
                continue
            values = [row[measure] for row in rows]
            ratios = [one / other for one, other in zip(values, plain, strict=True)]
            goal = f", goal at most {GOALS[measure]}" if label == "project" and measure in GOALS else ""
            ratio = "" if label == "plain" else f"  ratio {quartiles(ratios, 2)}{goal}"
            print(f"{measure:15} {label:10} {quartiles(values, 0):20}{ratio}")


if __name__ == "__main__":
    main()
