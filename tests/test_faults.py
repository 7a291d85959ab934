"""No accepted task is lost, whatever is killed, cut off or full; a load of tasks is counted.

A task may run more than once, and docs/why-these-defaults.md says when. The table that a run prints
shows how often.
"""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from conftest import Edit, Installed
from load import COLUMNS, ONCE, Load, Proxy, Server, durable_rabbitmq, durable_redis, kill_a_child, sentinel, table_row
from servers import Fleet, free_port, needed
from test_servers import OFTEN
from variants import FULL, options

BROKERS = options()["broker"]

#: A line of beat's log.
SENDS = re.compile("Sending due task heartbeat")

#: How many tasks each scenario counts and how many are sent a second: they last as long as its faults. By default they
#: are fewer, and each takes a moment, so that workers are as busy.
LARGE = {"prefork": (10_000, 600), "threads": (2_000, 150), "gevent": (2_000, 150)}
SMALL = (1_000, 100)
MOMENT = 0 if FULL else 0.03

#: Seconds after which the tasks of a dead worker run elsewhere.
LEASE = {
    "redis": {"CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "5"},
    "rabbitmq": {"CELERY_BROKER_HEARTBEAT": "5"},
}

WORKERS = ("one", "two")

#: Seconds; a process of a pool whose result nobody reads waits for 30.
HUNG = 28


@dataclass
class World:
    """A broker, a proxy to it, and the processes of a project."""

    broker: str
    server: Server
    results: Server
    proxy: Proxy
    fleet: Fleet
    load: Load

    def explained(self) -> str:
        """Return what may tell why tasks do not run: the queues, and where workers are."""
        columns = ("name", "messages_ready", "messages_unacknowledged", "consumers")
        queues = self.server.control("list_queues", *columns) if self.broker == "rabbitmq" else ""
        for process in self.fleet.processes.values():
            process.send_signal(signal.SIGUSR2)
        time.sleep(2)
        return f"{queues}\n{self.fleet.tails()}"


@pytest.fixture
def world(installed: Installed, tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Return a function that makes a world for a broker and a pool; it ends with the test.

    Its processes reach the broker through the proxy, which takes time, if that is to be cut.
    """
    with ExitStack() as stack:

        def create(
            broker: str,
            pool: str = "prefork",
            /,
            *edits: Edit,
            cut: bool = False,
            short_lease: bool = True,
            **variables: str,
        ) -> World:
            for program in ("redis-server", *(["rabbitmq-server"] if broker == "rabbitmq" else [])):
                needed(program)  # before the time that it takes to install a project
            project = installed({"broker": broker, "pool": pool, "examples": "none"}, *edits)
            if broker == "redis":
                server = results = stack.enter_context(durable_redis())
            else:
                config = project.folder / "deploy" / "rabbitmq.conf"
                server = stack.enter_context(durable_rabbitmq(config))
                results = stack.enter_context(durable_redis())
            proxy = Proxy(server.port)
            stack.callback(proxy.close)
            scheme, path = ("redis", "0") if broker == "redis" else ("amqp", "/")
            port = proxy.port if cut else server.port
            given = {
                "CELERY_BROKER_URL": f"{scheme}://127.0.0.1:{port}/{path}",
                "CELERY_WORKER_INCLUDE": "effects,stacks",
                "EFFECTS": str(tmp_path / "effects"),
                **(LEASE[broker] if short_lease else {}),
            }
            fleet = Fleet(project, tmp_path, f"redis://127.0.0.1:{results.port}", **(given | variables))
            stack.callback(fleet.close)
            return World(broker, server, results, proxy, fleet, Load(fleet))

        yield create


def children_are_killed(world: World) -> None:
    for _ in range(20):
        time.sleep(random.uniform(0.2, 0.8))  # noqa: S311
        kill_a_child(world.fleet, *WORKERS)


def workers_are_killed(world: World) -> None:
    for name in WORKERS * 2:
        time.sleep(random.uniform(0.2, 1))  # noqa: S311
        world.fleet.kill(name)
        world.fleet.start_general(name)


def workers_are_deployed(world: World) -> None:
    for name in WORKERS * 3:
        time.sleep(random.uniform(0.5, 2))  # noqa: S311
        began = time.monotonic()
        world.fleet.stop(name)
        assert time.monotonic() - began < HUNG
        world.fleet.start_general(name)


def the_broker_is_killed(world: World) -> None:
    for _ in range(3):
        time.sleep(random.uniform(1, 2))  # noqa: S311
        world.server.kill()
        time.sleep(random.uniform(0, 3))  # noqa: S311
        world.server.start()


def the_broker_stands_still(world: World) -> None:
    for _ in range(2):
        time.sleep(random.uniform(1, 2))  # noqa: S311
        world.server.freeze(4)


def connections_are_cut(world: World) -> None:
    for _ in range(6):
        time.sleep(random.uniform(0.5, 2))  # noqa: S311
        world.proxy.cut()
    world.proxy.black_hole.set()
    time.sleep(8)
    world.proxy.black_hole.clear()
    world.proxy.cut()


def redis_is_full(world: World) -> None:
    first, second = WORKERS
    with Redis(port=world.server.port) as redis:
        redis.config_set("maxmemory", redis.info("memory")["used_memory"])
        try:
            time.sleep(1)
            world.fleet.kill(first)
            world.fleet.start_general(first)  # although Redis is full
            time.sleep(8)
            assert world.fleet.processes[second].poll() is None
        finally:
            redis.config_set("maxmemory", 0)


EVERYWHERE = (workers_are_killed, connections_are_cut)
FAULTS = (
    *EVERYWHERE,
    the_broker_is_killed,
    the_broker_stands_still,
    children_are_killed,
    workers_are_deployed,
)
SCENARIOS = [
    *((broker, "prefork", fault) for broker in BROKERS for fault in FAULTS),
    ("redis", "prefork", redis_is_full),
    *((broker, pool, fault) for broker in BROKERS for pool in ("threads", "gevent") for fault in EVERYWHERE),
]


@pytest.mark.parametrize(
    ("broker", "pool", "fault"),
    SCENARIOS,
    ids=[f"{broker}-{pool}-{fault.__name__}" for broker, pool, fault in SCENARIOS],
)
def test_nothing_is_lost(
    broker: str,
    pool: str,
    fault: Callable[[World], None],
    world: Callable[..., World],
    record_property: Callable[[str, object], None],
) -> None:
    few = {"GENERAL_CONCURRENCY": "2"} if pool == "prefork" else {}  # processes, of which each start takes time
    here = world(broker, pool, cut=fault is connections_are_cut, **few)
    here.fleet.start_general(*WORKERS)
    number, rate = LARGE[pool] if FULL else SMALL
    sender = threading.Thread(target=send_until, args=(here.load, number, rate))
    sender.start()
    try:
        fault(here)
    finally:
        here.load.stop.set()
        sender.join()
    here.load.finish()
    rows = here.load.rows(f"{broker}, {pool}: {fault.__name__.replace('_', ' ')}")
    for row in rows:
        record_property("fault", list(row))
    at_least_once, at_most_once = rows
    table = "\n".join(table_row(*row) for row in (COLUMNS, *rows))
    explanation = f"{table}\n{here.explained() if here.load.missing() else here.fleet.tails()}"
    assert (at_least_once.lost, at_most_once.lost) == (0, 0), explanation
    assert at_most_once.twice == 0, explanation
    assert at_least_once.letters == 0, explanation
    assert at_least_once.accepted >= number


def send_until(load: Load, number: int, rate: int) -> None:
    """Send five pieces a second, of which one in twenty takes some time, until enough are accepted and it may stop."""
    piece, start, sent = rate // 50 * 10, time.monotonic(), 0
    while len(load.at_least_once) < number or not load.stop.is_set():
        load.send(sent, sent + piece, MOMENT if sent % (20 * piece) else 0.05)
        sent += piece
        time.sleep(max(0.0, start + sent / rate - time.monotonic()))


# Outages, as a publisher and a worker see them

#: Seconds within which a publisher gets an error if there is no broker.
SOON = 3


def goes_away(world: World) -> None:
    world.server.kill()


def falls_silent(world: World) -> None:
    world.proxy.black_hole.set()


def succeeds(timed: Callable[[], tuple[float, str]]) -> bool:
    """Whether a command that is timed fails no more."""
    return timed()[1] == ""


@pytest.mark.parametrize("outage", [goes_away, falls_silent])
@pytest.mark.parametrize("broker", BROKERS)
def test_a_publisher_hears_soon_that_the_broker_is_down(
    broker: str, outage: Callable[[World], None], world: Callable[..., World], subtests: pytest.Subtests
) -> None:
    here = world(broker, cut=True)
    ask = here.fleet.ask
    ask("send_many", 3, "effects.effect", [0], {}, {})
    if broker == "rabbitmq":
        time.sleep(5)  # RabbitMQ 3.10 confirms nothing any more if it is killed while a queue is that new
    outage(here)
    no_result, result = {"ignore_result": True}, {"ignore_result": False}
    cases = {"connected": no_result, "not connected": no_result, "delayed": {"countdown": 9, **no_result}}
    for case, options_ in cases.items():
        with subtests.test(case):
            seconds, error = ask("timed", "send", "effects.effect", [1], {}, options_)
            assert error.startswith("OperationalError: "), error
            assert seconds < SOON, error
    if broker == "redis":  # which keeps the results too
        with subtests.test("with a result"):
            seconds, error = ask("timed", "send", "effects.effect", [1], {}, result)
            assert error
            assert seconds < SOON, error
    here.proxy.black_hole.clear()
    here.proxy.cut()
    if here.server.process and here.server.process.poll() is not None:
        here.server.start()
    for options_ in (no_result, result):
        send = partial(ask, "timed", "send", "effects.effect", [1], {}, options_)
        here.fleet.wait(partial(succeeds, send), "it recovers", 30)


@pytest.mark.parametrize("broker", BROKERS)
def test_workers_and_beat_go_on_soon_after_a_long_outage(broker: str, world: Callable[..., World]) -> None:
    here = world(broker, "gevent", *OFTEN)  # whose environment has all pools
    fleet, pools = here.fleet, ("prefork", "threads", "gevent")
    for pool in pools:
        fleet.start_general(pool, GENERAL_POOL=pool, GENERAL_CONCURRENCY="4")
    fleet.start("beat")
    workers = {fleet.processes[pool].pid for pool in pools}
    here.load.send(0, 300, 0.2)
    fleet.wait(lambda: {worker for _, worker in here.load.lines()} == workers, "all workers are busy")
    here.server.kill()
    time.sleep(45)
    begun, sent = len(here.load.lines()), len(SENDS.findall(fleet.log("beat")))
    here.server.start()
    here.load.send(1000, 1200, 0.2)
    back = {
        "workers": lambda: {worker for _, worker in here.load.lines()[begun:]} == workers,
        "beat": lambda: len(SENDS.findall(fleet.log("beat"))) > sent,
    }
    deadline = time.monotonic() + 30
    for who, goes_on in back.items():
        fleet.wait(goes_on, f"{who} go on", deadline - time.monotonic())
    here.load.finish(20)
    assert not here.load.missing()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_a_result_waits_for_its_store(pool: str, world: Callable[..., World]) -> None:
    here = world("rabbitmq", pool)
    here.fleet.start_general("one")
    task_id = here.fleet.ask("send", "effects.effect", [1, 3], {}, {"ignore_result": False})
    here.fleet.wait(lambda: here.load.runs()[1], "it runs")
    here.results.kill()
    time.sleep(10)
    here.results.start()
    here.fleet.wait(lambda: here.fleet.ask("look", task_id)[0] == "SUCCESS", "its result is there", 20)
    assert here.load.runs()[1] == 1


def test_a_failover_of_redis_loses_nothing_that_the_replica_has(world: Callable[..., World], tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "sentinel").mkdir()
    with durable_redis() as results:
        here = world(
            "redis",
            CELERY_BROKER_URL=f"sentinel://127.0.0.1:{port}/0",
            CELERY_BROKER_TRANSPORT_OPTIONS__MASTER_NAME="main",
            CELERY_RESULT_BACKEND=f"redis://127.0.0.1:{results.port}/1",
        )
        replica = durable_redis("--replicaof", f"127.0.0.1 {here.server.port}")
        with replica, sentinel(tmp_path / "sentinel", port, here.server.port):
            here.fleet.start_general(*WORKERS)
            here.load.send(0, 1000, 0.02)
            with Redis(port=here.server.port) as master:
                master.set("last", 1)
                assert master.wait(1, 5000) == 1
            here.server.kill()
            send = partial(here.fleet.ask, "timed", "send", "effects.effect", [5000], {}, {"ignore_result": True})
            here.fleet.wait(partial(succeeds, send), "the replica is the master", 60)
            here.load.send(1000, 2000)
            here.load.finish()
            assert not here.load.missing()
            assert len(here.load.accepted) == 2200


# Leases


#: Seconds within which the tasks of a killed worker run elsewhere, with the settings that a project is generated with.
ELSEWHERE = {"redis": 45, "rabbitmq": 30}


@pytest.mark.parametrize("broker", BROKERS)
def test_hundreds_of_tasks_of_a_killed_worker_run_elsewhere_soon(broker: str, world: Callable[..., World]) -> None:
    here = world(broker, short_lease=False)
    fleet, many = here.fleet, 250
    fleet.start_general("one", GENERAL_POOL="threads", GENERAL_CONCURRENCY=str(many))
    fleet.ask("send_numbered", "effects.patient", 0, many, 60)
    fleet.wait(lambda: len(here.load.lines()) == many, "the first worker runs all")
    fleet.start_general("two", GENERAL_POOL="threads", GENERAL_CONCURRENCY=str(many))
    fleet.kill("one")
    fleet.wait(lambda: len(here.load.lines()) == 2 * many, "the second worker runs all", ELSEWHERE[broker])
    assert set(here.load.runs().values()) == {2}


@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
def test_a_task_that_runs_when_its_connection_is_cut_runs_once(pool: str, world: Callable[..., World]) -> None:
    here = world("redis", "gevent", cut=True)  # whose environment has all pools
    fleet = here.fleet
    fleet.start_general(*WORKERS, GENERAL_POOL=pool, GENERAL_CONCURRENCY="4")
    fleet.ask("send_numbered", "effects.effect", 0, 8, 12)  # longer than the lease
    fleet.wait(lambda: len(here.load.lines()) == 8, "all tasks run")
    here.proxy.cut()
    here.load.send(100, 120)
    here.load.finish()
    with Redis(port=here.server.port) as redis:
        fleet.wait(lambda: redis.hlen("unacked") == 0, "all tasks are acknowledged", 20)
    assert set(here.load.runs().values()) == {1}


@pytest.mark.parametrize("pool", ["gevent", "eventlet"] if FULL else ["gevent"])
@pytest.mark.parametrize("broker", BROKERS)
def test_a_full_worker_of_greenlets_goes_on_after_a_cut(broker: str, pool: str, world: Callable[..., World]) -> None:
    here = world(broker, pool, cut=True, GENERAL_CONCURRENCY="2")
    here.fleet.start_general("one")
    here.load.send(0, 8, seconds=2)
    here.fleet.wait(lambda: here.load.runs(), "tasks run")
    here.proxy.cut()  # the worker reads nothing, because it waits until it can start a task that it has
    here.load.finish()
    assert here.load.missing() == set(), here.explained()


@pytest.mark.parametrize("broker", BROKERS)
def test_a_worker_that_stood_still_loses_nothing_and_goes_on(broker: str, world: Callable[..., World]) -> None:
    here = world(broker)
    fleet = here.fleet
    fleet.start_general(*WORKERS, GENERAL_CONCURRENCY="4")
    here.load.send(0, 200, 0.5)
    frozen = fleet.processes["one"].pid
    fleet.wait(lambda: len(here.load.lines()) > 20, "both work")
    os.killpg(frozen, signal.SIGSTOP)
    here.load.finish(40)
    assert not here.load.missing(), "what the frozen worker held did not run elsewhere"
    os.killpg(frozen, signal.SIGCONT)
    begun = len(here.load.lines())
    here.load.send(1000, 1100, 0.2)
    fleet.wait(lambda: frozen in {worker for _, worker in here.load.lines()[begun:]}, "it goes on")
    here.load.finish()
    assert not here.load.missing()
    assert not [number for number, times in here.load.runs().items() if number >= ONCE and times > 1]


# What is large


@pytest.mark.parametrize("broker", BROKERS)
def test_an_argument_of_20_megabytes_arrives(broker: str, world: Callable[..., World]) -> None:
    here = world(broker)
    here.fleet.start_general("one")
    size = 20_000_000
    here.fleet.ask("send_large", "effects.length", size)
    here.load.send(0, 100)
    here.fleet.wait(lambda: here.load.runs()[size] == 1, "it arrives")
    here.load.finish()
    assert not here.load.missing()
    assert here.fleet.processes["one"].poll() is None
