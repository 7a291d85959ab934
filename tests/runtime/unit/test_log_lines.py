"""Log lines: whatever a call passes, there is one line, it cannot be forged, and it has no secret."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from my_celery_project.runtime.logs import printed, redaction, setup
from my_celery_project.runtime.logs.rendering import formatter

WORD = "hunter2secret"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """Return a function that gives the lines that were written since the last call."""
    setup.bind_structlog()
    output, owner = io.StringIO(), logging.getLogger("owner")
    handler = logging.StreamHandler(output)
    handler.setFormatter(formatter("json"))
    owner.addHandler(handler)
    owner.setLevel(logging.DEBUG)

    def written() -> list[dict[str, Any]]:
        text = output.getvalue()
        output.seek(0)
        output.truncate()
        return [json.loads(line) for line in text.splitlines()]

    yield written
    owner.removeHandler(handler)
    owner.propagate = True
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("never")


class Endless(dict[str, Any]):
    def items(self) -> Any:
        raise RecursionError


def cycle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


ODD: list[Any] = [
    Unprintable(),
    Endless(),
    cycle(),
    float("nan"),
    float("inf"),
    b"\xff",
    "\udcff",
    "\x00\x1b[2J",
    {1: 2, None: 3, Unprintable(): 4},
    object,
    10**400,
    set("ab"),
    ...,
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_a_call_never_fails_and_is_one_line(
    odd: Any, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    # pytest's own handler fails a test whose line it cannot format; it looks before the test.
    logging.getLogger("owner").propagate = False
    standard, bound = logging.getLogger("owner.standard"), structlog.get_logger("owner.bound")
    standard.info(odd)
    standard.info("%s", odd)
    standard.info("%d", odd)
    standard.info("a", extra={"message": odd, "name": odd, "x": odd})
    standard.error("a", exc_info=(odd, odd, odd))
    bound.info(odd)
    bound.info("%d", odd, odd)
    bound.info("a", event=odd, task_id=odd, level=odd, timestamp=odd, exc_info=False)
    bound.error("a", exc_info=odd, stack_info=odd, stacklevel=odd, positional_args=odd)
    assert len(lines()) == 9


def test_what_a_call_passes_overwrites_nothing(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    given = dict.fromkeys(("timestamp", "level", "logger", "event", "task_id", "tenant"), "forged")
    structlog.get_logger("owner").info("mine", **given)
    logging.getLogger("owner").info("mine", extra=given)
    for line in lines():
        assert (line["event"], line["logger"], line["level"]) == ("mine", "owner", "info")
        assert {name for name, value in line.items() if value == "forged"} == {
            f"{name}_" for name in given
        }


def test_a_line_cannot_be_forged(lines: Callable[[], list[dict[str, Any]]]) -> None:
    logging.getLogger("owner").info('a\n{"event": "forged"}\r\u2028{"event": "forged"}')
    assert len(lines()) == 1
    record = logging.makeLogRecord({"msg": "a\n12:00:00 [INFO] forged\x1b[2J", "levelname": "INFO"})
    assert "\n" not in formatter("console", colors=False).format(record)
    assert "\x1b" not in formatter("console", colors=False).format(record)


#: The same secrets wherever they may be.
PLACES: dict[str, Callable[[Any, Any], None]] = {
    "a URL": lambda log, _: log.info("amqp://app:%s@rabbit/", WORD),
    "a URL without a user": lambda log, _: log.info("redis://:%s@redis/0", WORD),
    "an argument": lambda log, _: log.info("url %s", f"https://{WORD}@host/"),
    "a field": lambda log, _: log.info("a", password=WORD),
    "a field of another name": lambda log, _: log.info("a", X_Api_Key=WORD),
    "a nested field": lambda log, _: log.info("a", user={"token": WORD, "id": 1}),
    "a list": lambda log, _: log.info("a", users=[{"secret": WORD}]),
    "a field by extra": lambda _, log: log.info("a", extra={"client_secret": WORD}),
    "a pair": lambda log, _: log.info("password=%s", WORD),
    "JSON": lambda log, _: log.info(json.dumps({"api_key": WORD})),
    "the repr of a dict": lambda log, _: log.info("%s", {"access_key": WORD}),
    "a bearer token": lambda log, _: log.info("Authorization: Bearer %s", WORD),
    "basic authentication": lambda log, _: log.info("sent Basic %s==", WORD),
    "a cookie": lambda log, _: log.info("Cookie: session=%s", WORD),
    "headers": lambda log, _: log.info("a", headers={"Authorization": WORD}),
    "an environment": lambda log, _: log.info("a", environ={"APP_TOKEN": WORD}),
    "bound values": lambda log, _: log.bind(credentials=WORD).info("a"),
    "an error": lambda log, _: fails(log, ValueError(f"https://u:{WORD}@h")),
    "the cause of an error": lambda log, _: fails(log, KeyError(f"token={WORD}")),
    "a name": lambda log, _: log.info("a", **{f"https://u:{WORD}@h": 1}),
}


def fails(log: Any, error: Exception) -> None:
    """Log an error with its cause."""
    try:
        raise RuntimeError(f"password: {WORD}") from error
    except RuntimeError:
        log.exception("failed")


@pytest.mark.parametrize("place", PLACES)
def test_no_secret_is_shown(place: str, lines: Callable[[], list[dict[str, Any]]]) -> None:
    PLACES[place](structlog.get_logger("owner"), logging.getLogger("owner"))
    (line,) = lines()
    assert WORD not in json.dumps(line)
    assert redaction.HIDDEN in json.dumps(line)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"token is {JWT}.", "***"),
        ("card 4111 1111 1111 1111 ok", "card *** ok"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("sent 20261130123456789 bytes", "sent 20261130123456789 bytes"),
        ("AKIAIOSFODNN7EXAMPLE", "***"),
        ("https://example.com/a@b?x=1", "https://example.com/a@b?x=1"),
        ("monkey=1 keyboard=2", "monkey=1 keyboard=2"),
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(text: str, expected: str) -> None:
    assert expected in redaction.text(text)


def test_a_long_value_is_cut(lines: Callable[[], list[dict[str, Any]]]) -> None:
    structlog.get_logger("owner").info("x" * 10**6, many=list(range(10**5)))
    (line,) = lines()
    assert len(json.dumps(line)) < 50_000


def test_the_configuration_is_one_for_all_kinds_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("APP_LOG_FORMAT", "json")
    config = setup.configuration("console", "WARNING")
    assert config["formatters"]["lines"]["format"] == "json"
    assert config["root"] == {"handlers": ["lines"], "level": "WARNING"}
    assert config["handlers"]["lines"]["stream"] == "ext://sys.__stderr__"
    assert sys.__stderr__


def test_what_is_printed_is_one_line_for_each_call(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    stream = printed.Printed(logging.getLogger("owner"), logging.INFO)
    print("a", 1, {"b": 2}, file=stream)
    print("two\nrows", file=stream)
    print("begun", end="", file=stream)
    print(file=stream)
    print("not ended", end="", file=stream)
    assert [line["event"] for line in lines()] == ["a 1 {'b': 2}", "two\nrows", "begun"]
    stream.end_line()
    stream.end_line()
    assert [line["event"] for line in lines()] == ["not ended"]
    print("x" * 2 * printed.LONGEST, end="", file=stream)
    assert len(lines()) == 1
