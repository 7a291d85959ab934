"""Measure the throughput of a generated project against plain Celery.

    python benchmarks/throughput.py --broker redis --pool prefork

Three apps run the same no-op, in rounds of alternating order, each on an empty server:

    project     the generated project, as its owner runs it
    same        plain Celery with the same guarantees: late acknowledgement, nothing taken ahead,
                time limits, no results, and on RabbitMQ confirmed messages in quorum queues that keep
                what was delivered too often
    defaults    plain Celery with a broker, a result backend and nothing else

The queue is filled before a worker starts, and its length is watched from outside: a rate is that of
the middle 80 % of the tasks. CPU time is that of the worker with its processes. `--ways` compares
ways to run many small items in the project: single tasks, single tasks that processes take ahead, and
chunks of 100. `--watched` compares the project with itself: with metrics, with metrics and a JSON line
for each task, and without both.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from redis import Redis

TEMPLATE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TEMPLATE / "tests"))

from servers import free_port, kill_group, rabbitmq_server, redis_server  # noqa: E402

PLAIN = """
import os

from celery import Celery
from kombu import Exchange, Queue

SAME = {
    "broker_connection_retry_on_startup": True,
    "task_acks_late": True,
    "task_ignore_result": True,
    "task_soft_time_limit": 240,
    "task_time_limit": 300,
    "worker_prefetch_multiplier": 2 if os.environ["POOL"] in {"gevent", "eventlet"} else 1,
}
ARGUMENTS = {
    "x-queue-type": "quorum",
    "x-delivery-limit": 20,
    "x-dead-letter-exchange": "dead-letters",
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
}
QUORUM = {
    "broker_transport_options": {"confirm_publish": True},
    "task_queues": [
        Queue("default", Exchange("tasks", type="topic"), "default", queue_arguments=ARGUMENTS)
    ],
}
app = Celery("plain", broker=os.environ["BROKER"], backend=os.environ["RESULTS"])
app.conf.task_default_queue = "default"
if os.environ["APP"] == "same":
    app.conf.update(SAME)
    if os.environ["BROKER"].startswith("amqp"):
        app.conf.update(QUORUM)
    elif os.environ["POOL"] not in {"gevent", "eventlet"}:
        app.conf.worker_disable_prefetch = True
"""

PLAIN_APPS = ["same", "defaults"]

NOOP = """
@app.task(name="bench.noop")
def noop(number: int = 0) -> None:
    pass
"""

OURS = "from my_celery_project.celery import app\n"

#: Fills the queue and prints the seconds that it took.
PUBLISH = """
import sys
import time
from bench import app, noop

items, chunk = int(sys.argv[1]), int(sys.argv[2])
app.finalize()
with app.connection_for_write() as connection:
    connection.default_channel.queue_delete("default")  # each app declares it in its own way
start = time.perf_counter()
if chunk:
    noop.chunks(((number,) for number in range(items)), chunk).group().apply_async(queue="default")
else:
    with app.pool.acquire(block=True) as connection, connection.Producer() as producer:
        for number in range(items):
            noop.apply_async((number,), queue="default", producer=producer)
print(time.perf_counter() - start)
"""

#: Prints the number of messages in the queue for every line that it reads.
DEPTH = """
import sys
from bench import app

with app.connection_for_read() as connection, connection.channel() as channel:
    for _ in sys.stdin:
        print(channel.queue_declare("default", passive=True).message_count, flush=True)
"""


def cpu_seconds(group: int) -> float:
    """Return the CPU time of the living processes of a group."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Contender:
    """An app in an environment.

    Args:
        name: project, same or defaults.
        folder: Folder for its own one with module and logs.
        python: Interpreter of the environment of the project.
        pool: Pool of its worker.
        source: Python that defines `app`.
        chunk: Number of items in a message; 0 for single tasks.
        variables: Variables of its processes.
        level: The level of the worker's log.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        python: Path,
        pool: str,
        source: str = OURS,
        chunk: int = 0,
        variables: Mapping[str, str] | None = None,
        level: str = "ERROR",
    ) -> None:
        self.level = level
        self.name, self.folder, self.python, self.pool = name, folder / name, python, pool
        self.chunk, self.variables = chunk, variables or {}
        self.folder.mkdir()
        (self.folder / "bench.py").write_text(source + NOOP, "utf-8")
        for script, text in (("publish.py", PUBLISH), ("depth.py", DEPTH)):
            (self.folder / script).write_text(text, "utf-8")

    def measure(self, urls: dict[str, str], items: int, concurrency: int) -> dict[str, float]:
        """Return items per second, CPU milliseconds per item, and messages published per second."""
        env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CELERY_")},
            "APP": self.name,
            "APP_ENV": "development",
            "POOL": self.pool,
            "BROKER": urls["broker"],
            "RESULTS": urls["results"],
            **self.variables,
        }
        if self.name not in PLAIN_APPS:
            env |= {"CELERY_BROKER_URL": urls["broker"], "CELERY_RESULT_BACKEND": urls["results"]}
        publish = [str(self.python), "publish.py", str(items), str(self.chunk)]
        publishing = float(subprocess.check_output(publish, cwd=self.folder, env=env))
        celery = [str(self.python.parent / "celery"), "-A", "bench", "worker", "--loglevel", self.level]
        arguments = ["--pool", self.pool, "--concurrency", str(concurrency), "--queues", "default"]
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen(
                [self.python, "depth.py"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                encoding="utf-8",
                cwd=self.folder,
                env=env,
            ) as depth,
            subprocess.Popen(
                [*celery, *arguments], stdout=log, stderr=log, start_new_session=True, cwd=self.folder, env=env
            ) as worker,
        ):

            def length() -> int:
                if worker.poll() is not None or not (depth.stdin and depth.stdout):
                    raise RuntimeError((self.folder / "log").read_text("utf-8"))
                depth.stdin.write("\n")
                depth.stdin.flush()
                return int(depth.stdout.readline())

            try:
                messages = length()
                first, last = falls_below(length, 0.9 * messages, worker.pid), None
                last = falls_below(length, 0.1 * messages, worker.pid)
            finally:
                kill_group(worker.pid)  # without waiting, because the server is dropped too
                depth.kill()
        done = (first[2] - last[2]) / messages * items
        return {
            "items/s": done / (last[0] - first[0]),
            "CPU ms/item": 1000 * (last[1] - first[1]) / done,
            "published/s": items / publishing,
        }


def falls_below(length: Callable[[], int], limit: float, group: int) -> tuple[float, float, int]:
    """Wait until a queue is shorter; return the time, the CPU time of a group, and the length."""
    deadline = time.monotonic() + 300
    while (now := length()) > limit:
        if time.monotonic() > deadline:
            raise RuntimeError("the worker does not work")
        time.sleep(0.02)
    return time.perf_counter(), cpu_seconds(group), now


@contextmanager
def environment(folder: Path, broker: str, pool: str, examples: str = "none") -> Iterator[tuple[Path, Path]]:
    """Bake and install a project, and compile it, as its image does; yield its folder and its interpreter."""
    answers = [f"broker={broker}", f"pool={pool}", f"examples={examples}"]
    bake = [sys.executable, "-m", "cookiecutter", "--no-input", "-o", str(folder), str(TEMPLATE), *answers]
    config = folder / "config.yaml"
    config.write_text(f'{{"cookiecutters_dir": "{folder}/cc", "replay_dir": "{folder}/replay"}}', "utf-8")
    subprocess.run(bake, env={**os.environ, "COOKIECUTTER_CONFIG": str(config)}, check=True, capture_output=True)
    project = folder / "my-celery-project"
    uv = [sys.executable, "-m", "uv"]
    python = folder / "environment" / "bin" / "python"
    subprocess.run([*uv, "venv", "-q", "-p", sys.executable, str(folder / "environment")], check=True)
    install = [*uv, "pip", "install", "-q", "--compile-bytecode", "-p", str(python)]
    subprocess.run([*install, str(project)], check=True)
    yield project, python


def main() -> None:
    """Print a table of medians and of the ratios of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", default="redis", choices=["redis", "rabbitmq"])
    parser.add_argument("--pool", default="prefork")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--items", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=9)
    compared = parser.add_mutually_exclusive_group()
    compared.add_argument("--ways", action="store_true")
    compared.add_argument("--watched", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        project, python = stack.enter_context(environment(folder, options.broker, options.pool))

        contender = partial(Contender, folder=folder, python=python, pool=options.pool)

        if options.ways:
            taken_ahead = {"CELERY_WORKER_PREFETCH_MULTIPLIER": "10"}
            if options.broker == "redis":
                taken_ahead["CELERY_WORKER_DISABLE_PREFETCH"] = "false"
            contenders = [
                contender("single"),
                contender("ahead", variables=taken_ahead),
                contender("chunks", chunk=100),
            ]
        elif options.watched:
            metrics = {"APP_METRICS_PORT": str(free_port())}
            contenders = [
                contender("neither"),
                contender("metrics", variables=metrics),
                contender("metrics-logs", variables={**metrics, "APP_LOG_FORMAT": "json"}, level="INFO"),
            ]
        else:
            contenders = [contender("project"), *(contender(label, source=PLAIN) for label in PLAIN_APPS)]
        results: dict[str, list[dict[str, float]]] = {each.name: [] for each in contenders}
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server(place))
        urls = {"broker": f"{redis}/0", "results": f"{redis}/1"}
        if options.broker == "rabbitmq":
            config = project / "deploy" / "rabbitmq.conf"
            urls["broker"] = stack.enter_context(rabbitmq_server(place, config))
        for number in range(options.rounds):
            for each in contenders if number % 2 == 0 else reversed(contenders):
                items = options.items * (50 if each.chunk else 1)
                Redis.from_url(redis).flushall()
                results[each.name].append(each.measure(urls, items, options.concurrency))
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
        first, *others = results
        report(results, [(name, first) if options.watched else (first, name) for name in others])


def report(results: dict[str, list[dict[str, float]]], pairs: list[tuple[str, str]]) -> None:
    """Print the medians of each app, and the ratios of the first one of each pair to the second."""
    for label, rounds in results.items():
        medians = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
        print(f"{label:14}", *(f"{name} {value:9.2f}" for name, value in medians.items()), sep="  ")
    for one, other in pairs:
        for name in results[one][0]:
            paired = zip(results[one], results[other], strict=True)
            ratios = [row[name] / against[name] for row, against in paired]
            low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
            print(f"{one} / {other}, {name}: median {statistics.median(ratios):.2f}, quartiles {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
