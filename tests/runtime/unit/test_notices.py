"""What people are told, and how often: with a clock of our own, and servers that are stood in for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from celery.bin.base import CLIContext
from click.testing import CliRunner

from my_celery_project.celery import app
from my_celery_project.runtime.cli.notify import notify
from my_celery_project.runtime.config.environment import ConfigurationError, read
from my_celery_project.runtime.letters.letter import DeadLetter, Reason
from my_celery_project.runtime.notices import notifier, problems, sending, settings, texts
from my_celery_project.runtime.notices.notifier import Notifier
from my_celery_project.runtime.notices.place import Failures, Kind, Memory

HOOK = "https://hooks.example.com/1"


class World:
    """A clock, what is wrong, and what was sent."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.found: dict[str, str] = {}
        self.sent: list[tuple[str, str, str]] = []
        self.is_away = False

    def time(self) -> float:
        return self.now

    def send(self, channel: str, _: object, subject: str, text: str) -> None:
        if self.is_away:
            raise OSError("connection refused")
        self.sent.append((channel, subject, text))


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    monkeypatch.setattr("time.time", world.time)
    monkeypatch.setattr(sending, "send", world.send)
    monkeypatch.setattr(notifier, "problems", lambda *_: dict(world.found))
    return world


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("APP_NOTIFY_WEBHOOK_URL", HOOK)
    return monkeypatch


@pytest.fixture
def teller(world: World) -> Notifier:
    return Notifier(app, read(settings.Settings), "general@a", Memory(), looks=True)


def letter(task: str = "mail.send", error: str = "ValueError", **fields: Any) -> DeadLetter:
    return DeadLetter(
        id="1", task=task, reason=Reason.FAILED, error=error, text="no answer", **fields
    )


def turns(world: World, teller: Notifier, seconds: float) -> None:
    """Let time pass, with the turns that the notifier takes in it."""
    end = world.now + seconds
    while world.now < end:
        world.now += notifier.TURN
        teller.take_turn()


def numbers(world: World) -> list[int]:
    """Return the number of failures of each notice."""
    return [
        sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("- "))
        for _, _, text in world.sent
    ]


def test_a_burst_is_two_notices_whose_numbers_add_up(world: World, teller: Notifier) -> None:
    for _ in range(12):
        for _ in range(41):
            teller.failed(letter())
        turns(world, teller, 5)
    turns(world, teller, 3600)
    assert numbers(world) == [3 * 41, 9 * 41]
    (_, subject, text), _ = world.sent
    assert subject == f"[{app.main}] 123 failures of mail.send"
    assert "- 123 x mail.send (failed): ValueError: no answer" in text
    assert f"celery -A {app.main} dead-letters show 1" in text


def test_what_fails_all_the_time_is_told_three_times_in_an_interval(
    world: World, teller: Notifier
) -> None:
    for _ in range(3600 // 70):
        teller.failed(letter())
        turns(world, teller, 70)
    assert len(world.sent) <= 3 * 3600 / 600 + 1
    turns(world, teller, 600)
    assert sum(numbers(world)) == 3600 // 70


def test_a_notice_that_cannot_be_sent_is_sent_later(world: World, teller: Notifier) -> None:
    world.is_away = True
    teller.failed(letter())
    turns(world, teller, 60)
    teller.failed(letter(error="KeyError"))
    turns(world, teller, 60)
    assert not world.sent
    world.is_away = False
    turns(world, teller, 600)
    assert numbers(world) == [1, 1]


def test_only_the_channel_that_lacks_a_notice_gets_it_again(
    world: World, variables: pytest.MonkeyPatch
) -> None:
    for name, value in {"MAIL_TO": "a@x", "MAIL_FROM": "b@x", "SMTP_URL": "smtp://h"}.items():
        variables.setenv(f"APP_NOTIFY_{name}", value)

    def send(channel: str, *rest: Any) -> None:
        if channel == "mail" and world.now < 1_800_000_060:
            raise OSError("away")
        world.send(channel, *rest)

    variables.setattr(sending, "send", send)
    teller = Notifier(app, read(settings.Settings), "general@a", Memory(), looks=False)
    teller.failed(letter())
    turns(world, teller, 600)
    assert [channel for channel, _, _ in world.sent] == ["webhook", "mail"]


def test_a_problem_that_lasts_is_told_and_so_is_its_end(world: World, teller: Notifier) -> None:
    turns(world, teller, 60)
    world.found = {"beat": "Beat is silent."}
    turns(world, teller, 30)
    world.found = {}
    turns(world, teller, 300)
    assert not world.sent
    world.found = {"beat": "Beat is silent."}
    turns(world, teller, 300)
    world.found = {}
    turns(world, teller, 300)
    assert [text for _, _, text in world.sent] == ["Beat is silent.", "Over: Beat is silent."]


def test_without_a_shared_place_the_rest_is_told_when_the_process_ends(
    world: World, teller: Notifier
) -> None:
    teller.begin()
    teller.failed(letter())
    teller.end()
    assert numbers(world) == [1]


class Shared(Memory):
    """A place that several processes could share, and that may be away."""

    is_shared = True
    errors = (ConnectionError,)
    is_away = True

    def check(self) -> None:
        if self.is_away:
            raise ConnectionError("away")

    def add(self, kind: Kind, text: str, letter: str) -> None:
        self.check()
        super().add(kind, text, letter)

    def lead(self, name: str, seconds: float) -> bool:
        self.check()
        return super().lead(name, seconds)


def test_a_place_that_is_away_loses_no_failure(world: World) -> None:
    place = Shared()
    teller = Notifier(app, read(settings.Settings), "general@a", place, looks=False)
    teller.failed(letter())
    with pytest.raises(ConnectionError):
        teller.take_turn()
    place.is_away = False
    turns(world, teller, 60)
    assert numbers(world) == [1]


def test_beat_tells_that_the_shared_place_is_away_and_that_it_is_back(world: World) -> None:
    place = Shared()
    teller = Notifier(app, read(settings.Settings), "beat", place, looks=True)
    world.found = {"Redis": "Redis is away."}
    turns(world, teller, 300)
    assert [text for _, _, text in world.sent] == ["Redis is away."]
    place.is_away, world.found = False, {}
    turns(world, teller, 120)
    assert [text for _, _, text in world.sent[1:]] == ["Over: Redis is away."]


def test_a_notice_has_no_secret_and_no_control_characters() -> None:
    told = {Kind("a.b", "E\x1b[2J", "failed"): Failures(2, "amqp://u:hunter2@h/\nx", "id\x1b")}
    subject, text = texts.notice("shop", ["Redis does not answer: redis://:hunter2@h."], told)
    assert "hunter2" not in subject + text
    assert "\x1b" not in text
    assert "amqp://***@h/ x" in text


def test_a_long_list_is_cut_and_counted() -> None:
    told = {Kind(f"t{n}", "E", "failed"): Failures(1, "", "1") for n in range(25)}
    subject, text = texts.notice("shop", [], told)
    assert subject == "[shop] 25 failures of 25 tasks"
    assert "- 5 more, of 5 other kinds" in text


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"SMTP_URL": "mail.example.com"}, "APP_NOTIFY_SMTP_URL is wrong: use a URL such as smtp"),
        ({"WEBHOOK_URL": "ftp://x"}, "APP_NOTIFY_WEBHOOK_URL is wrong: use a URL that begins"),
        ({"WEBHOOK_BODY": '{"text": "x"}'}, "APP_NOTIFY_WEBHOOK_BODY is wrong: it must have $text"),
        ({"WEBHOOK_BODY": '{"text": "$text"}'}, "it is not JSON with $text in it"),
        ({"MAIL_TO": "a@x"}, "APP_NOTIFY_MAIL_TO is set, but APP_NOTIFY_SMTP_URL is not"),
        ({"INTERVAL": "0"}, "APP_NOTIFY_INTERVAL='0' is wrong"),
    ],
)
def test_wrong_settings_are_refused(
    wrong: Mapping[str, str], sentence: str, variables: pytest.MonkeyPatch
) -> None:
    for name, value in wrong.items():
        variables.setenv(f"APP_NOTIFY_{name}", value)
    with pytest.raises(ConfigurationError) as refused:
        read(settings.Settings)
    assert sentence in str(refused.value)


def test_the_body_of_a_webhook_is_what_its_chat_takes(variables: pytest.MonkeyPatch) -> None:
    variables.setenv("APP_NOTIFY_WEBHOOK_BODY", '{"content": $text, "username": "celery"}')
    body = settings.body_of(read(settings.Settings).webhook_body, 'a "b"\nc')
    assert json.loads(body) == {"content": 'a "b"\nc', "username": "celery"}


def test_the_command_sends_a_test_or_says_why_it_cannot(
    world: World, variables: pytest.MonkeyPatch
) -> None:
    def run() -> tuple[int, str]:
        context = CLIContext(app=app, no_color=True, workdir=None)
        done = CliRunner().invoke(notify, [], obj=context)
        return done.exit_code, done.output

    assert run() == (0, "Sent by webhook.\n")
    assert world.sent == [("webhook", f"[{app.main}] This is a test.", "This is a test.")]
    world.is_away = True
    assert run() == (1, "Error: the webhook could not be sent: connection refused\n")
    variables.delenv("APP_NOTIFY_WEBHOOK_URL")
    code, output = run()
    assert code == 1
    assert "set APP_NOTIFY_MAIL_TO or APP_NOTIFY_WEBHOOK_URL" in output


def test_a_beat_that_looks_at_its_schedule_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Known(Memory):
        def last_tick(self) -> float | None:
            return 1000.0

    project: Any = SimpleNamespace(conf=SimpleNamespace(beat_schedule={"heartbeat": {}}))
    for now, silent in ((1119.0, False), (1300.0, True)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        assert bool(problems.of_beat(project, Known())) == silent
    assert "for 5 minutes" in problems.of_beat(project, Known())
    assert not problems.of_beat(project, Memory())
