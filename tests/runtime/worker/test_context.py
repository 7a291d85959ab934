"""Correlation id and tenant, as a real worker's tasks see them."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import chain, group

from my_celery_project.celery import app
from my_celery_project.runtime import context, errors
from my_celery_project.runtime.context import Context
from my_celery_project.runtime.logs.rendering import formatter
from my_celery_project.runtime.tasks import base

WEB = Context("request-7", "acme")

SEEN: list[tuple[str, Context]] = []


def see(name: str) -> None:
    SEEN.append((name, context.current()))


@app.task(name="tests.plain")
def plain(*_: Any) -> list[str | None]:
    see("plain")
    return list(context.current())


@app.task(
    base=base.BaseTask, bind=True, name="tests.retried", retry_backoff=False, default_retry_delay=0
)
def retried(self: base.BaseTask) -> None:
    see("retried")
    if self.request.retries == 0:
        raise errors.TransientError("on purpose")


@app.task(name="tests.broken", throws=(errors.PermanentError,))  # logged without a traceback
def broken(*_: Any) -> None:
    see("broken")
    raise errors.PermanentError("on purpose")


@app.task(name="tests.on_error")
def on_error(*_: Any) -> None:
    see("on_error")


@app.task(name="tests.parent")
def parent() -> None:
    see("parent")
    group(plain.si(), retried.si())()
    chain(plain.si(), broken.s().on_error(on_error.si()))()


@app.task(name="tests.for_other_tenant")
def for_other_tenant(tenant: str) -> None:
    with context.bind(tenant=tenant):
        plain.delay()
    see("for_other_tenant")


@app.task(name="tests.log")
def log() -> None:
    logging.getLogger("some.library").warning("a line")


@pytest.fixture(autouse=True)
def seen() -> Iterator[None]:
    SEEN.clear()
    yield
    SEEN.clear()


def wait_for(number: int) -> None:
    """Wait until so many tasks have run."""
    deadline = time.monotonic() + 30
    while len(SEEN) < number:
        assert time.monotonic() < deadline, SEEN
        time.sleep(0.01)


def test_everything_that_a_task_publishes_has_its_context(run: Callable[..., Any]) -> None:
    with context.bind(*WEB):
        run(parent)
    wait_for(7)
    names = ["broken", "on_error", "parent", "plain", "plain", "retried", "retried"]
    assert sorted(SEEN) == [(name, WEB) for name in names]


def test_a_chain_has_the_context_of_its_caller(worker: None) -> None:
    with context.bind(*WEB):
        chain(plain.si(), plain.si(), plain.si())()
    wait_for(3)
    assert SEEN == [("plain", WEB)] * 3


def test_without_an_id_the_first_task_gives_it(run: Callable[..., Any]) -> None:
    run(parent)
    wait_for(7)
    ids = {seen.correlation_id for _, seen in SEEN}
    assert len(ids) == 1
    assert None not in ids


def test_a_message_without_our_headers_belongs_to_its_tree(run: Callable[..., Any]) -> None:
    assert run(plain.signature(root_id="first-task")).value == ["first-task", None]


def test_nothing_stays_for_the_next_task(run: Callable[..., Any]) -> None:
    for _ in range(10):
        with context.bind(*WEB):
            assert run(plain).value == list(WEB)
        correlation_id, tenant = run(plain).value
        assert correlation_id != WEB.correlation_id
        assert tenant is None
    assert context.current() == Context()


def test_a_task_can_publish_for_another_tenant(run: Callable[..., Any]) -> None:
    with context.bind(*WEB):
        run(for_other_tenant, "globex")
    wait_for(2)
    assert dict(SEEN) == {"for_other_tenant": WEB, "plain": WEB._replace(tenant="globex")}


def test_every_log_line_has_the_context(run: Callable[..., Any]) -> None:
    output, library = io.StringIO(), logging.getLogger("some.library")
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter("json"))
    library.addHandler(handler)
    library.setLevel(logging.WARNING)
    try:
        with context.bind(*WEB):
            run(log)
        run(log)
        library.warning("outside")
    finally:
        library.removeHandler(handler)
    first, second, outside = map(json.loads, output.getvalue().splitlines())
    assert (first["correlation_id"], first["tenant"]) == WEB
    assert second["correlation_id"] == second["task_id"]
    assert {first["task"], second["task"]} == {log.name}
    assert first["worker"]
    assert not {"correlation_id", "tenant", "task", "task_id"} & outside.keys()


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "a\n", "é", "%s\x1b[0m", "a" * 129])
def test_a_value_that_could_forge_a_log_line_is_refused(
    value: str, run: Callable[..., Any]
) -> None:
    with pytest.raises(ValueError, match="is refused"), context.bind(tenant=value):
        pass
    forged = {context.CORRELATION_ID_HEADER: value, context.TENANT_HEADER: value}
    signature = plain.signature(headers=forged)
    correlation_id, tenant = run(signature).value
    assert (correlation_id == value, tenant) == (False, None)


def test_a_bound_value_completes_the_outer_one() -> None:
    with context.bind(correlation_id="a"):
        with context.bind(tenant="b"):
            assert context.current() == Context("a", "b")
        assert context.current() == Context("a", None)
