"""The thread that tells people, in the main process of every worker, and in beat.

In a project with a Redis one of them leads, and another takes over when it ends: so workers tell
that beat is silent, and beat tells that no worker answers. Without one, and while it is away, beat
tells what is wrong with servers and workers, and each worker counts its own failures.

A notice says what has failed how often, and which problems have begun or ended. At most `MOST` are
sent in an interval; what happens meanwhile is counted in the next. A notice that cannot be sent is
kept, and sent when that is possible again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger

from ..observer import Notices
from ..printable import one_line, shortened
from . import sending, texts
from .place import Failures, Kind, Memory, Place, State
from .problems import problems

if TYPE_CHECKING:
    from ..app import App
    from ..letters.letter import DeadLetter
    from .settings import Settings

logger = get_logger(__name__)

#: Seconds between two turns, and after which another process takes over from a silent leader.
TURN = 5
LEASE = 30

#: Seconds between two looks at servers and workers, and how long a problem must last to be told.
LOOK = 30
LASTING = 60

#: Seconds for which failures are gathered before the first notice, and the seconds without another
#: one after which a burst is over.
GATHER = 10
CALM = 60

#: Seconds that a process that ends may spend on telling what only it knows.
LAST = 5

#: How many notices may be sent in an interval: the first, that of the end of a burst, and one more.
MOST = 3


class Notifier(Notices):
    """Counts what people have to be told, and tells them.

    Args:
        app: The app.
        settings: Who is told, and how.
        name: The name of this process.
        place: Where it is counted.
        looks: Whether this process tells what is wrong with servers and workers by itself, where
            or while no place is shared.
    """

    is_wanted = True

    def __init__(
        self, app: App, settings: Settings, name: str, place: Place, *, looks: bool
    ) -> None:
        self.app, self.settings, self.place, self.looks = app, settings, place, looks
        self.name = f"{name} {os.getpid()}"
        #: What is counted and told while the shared place is away.
        self.own = Memory()
        self.tick: float | None = None
        self.looked = 0.0
        self.complained = False
        self.stopping = Event()
        self.thread = Thread(target=self.run, name="notices", daemon=True)

    def failed(self, letter: DeadLetter) -> None:
        """Count a task that has failed for good."""
        kind = Kind(letter.task or "a message", letter.error, str(letter.reason))
        failure = kind, shortened(letter.text, 200), letter.id
        try:
            self.place.add(*failure)
        except self.place.errors:
            self.own.add(*failure)

    def ticked(self) -> None:
        """Note that beat looks at its schedule."""
        self.tick = time.time()

    def begin(self) -> None:
        """Begin to tell people."""
        self.thread.start()

    def end(self) -> None:
        """Tell at once what only this process knows, since it ends."""
        self.stopping.set()
        self.thread.join(LAST)

    def run(self) -> None:
        """Take turns until the process ends."""
        while not self.stopping.wait(TURN):
            self.turn(self.take_turn)
        if not self.place.is_shared:
            self.turn(self.tell_all)

    def turn(self, what: Callable[[], object]) -> None:
        """Do something, and log an error, but once until it succeeds."""
        try:
            what()
        except Exception as error:
            log = logger.debug if self.complained else logger.warning
            log("Could not look what to tell people: %s", one_line(error))
            self.complained = True
        else:
            self.complained = False

    def take_turn(self) -> None:
        """Tell what is due, if this process leads, or if it cannot ask who does."""
        try:
            leads = self.place.lead(self.name, LEASE)
            if self.tick is not None:
                self.place.ticked(self.tick)
            self.hand_over()
            if leads:
                self.tell_from(self.place, looks=self.looks or self.place.is_shared)
        except self.place.errors:
            if not self.looks:
                raise
            self.tell_from(self.own, looks=True)

    def tell_from(self, place: Place, *, looks: bool) -> None:
        """Tell what is due in a place.

        Args:
            place: The place.
            looks: Whether to look for problems with servers and workers.
        """
        state = place.load()
        if looks and time.time() - self.looked >= LOOK:
            self.looked = time.time()
            self.judge(state, problems(self.app, place))
        self.tell(place, state)

    def hand_over(self) -> None:
        """Give the shared place what was counted and told here while it was away."""
        counted, own = self.own.counted(), self.own.load()
        if not (counted or own.told or own.problems):
            return
        for kind, failures in counted.items():
            for _ in range(failures.number):
                self.place.add(kind, failures.text, failures.letter)
        state = self.place.load()
        state.told = {**own.told, **state.told}  # so that the end of a problem is told as well
        self.place.save(state, {})
        self.own.save(State(sent=own.sent), counted)

    def judge(self, state: State, found: Mapping[str, str]) -> None:
        """Note which problems have begun, which ones last, and which ones have ended.

        Args:
            state: The state, which is changed.
            found: The present problems, with a sentence about each.
        """
        now = time.time()
        state.problems = {name: state.problems.get(name, now) for name in found}
        for name, sentence in found.items():
            if name not in state.told and now - state.problems[name] >= LASTING:
                state.told[name] = sentence
                state.news.append(sentence)
        for name in [name for name in state.told if name not in found]:
            state.news.append(texts.over(state.told.pop(name)))

    def tell(self, place: Place, state: State) -> None:
        """Send a notice if one is due, and keep the state."""
        now, counted = time.time(), place.counted()
        number = sum(failures.number for failures in counted.values())
        if number != state.number:
            state.number, state.changed = number, now
        if not number and not state.news:
            state.since = None
        elif state.since is None:
            state.since = now
        told: Mapping[Kind, Failures] = {}
        if state.notice is None and self.is_due(state, now):
            told = counted
            self.write(state, told)
        place.save(state, told)  # before it is sent, so that nothing is told twice or never
        if state.notice is not None:
            self.send(place, state)

    def is_due(self, state: State, now: float) -> bool:
        """Whether a notice is to be sent now."""
        if state.since is None or now - state.since < GATHER:
            return False
        state.sent = [moment for moment in state.sent if now - moment < self.settings.interval]
        if not state.sent:
            return True
        is_calm = bool(state.news) or now - state.changed >= min(CALM, self.settings.interval)
        return is_calm and len(state.sent) < MOST

    def tell_all(self) -> None:
        """Send what is left, whether it is due or not."""
        state, counted = self.place.load(), self.place.counted()
        if state.notice is None and (counted or state.news):
            self.write(state, counted)
            self.place.save(state, counted)
        if state.notice is not None:
            self.send(self.place, state)

    def write(self, state: State, told: Mapping[Kind, Failures]) -> None:
        """Write the notice that is to be sent."""
        subject, text = texts.notice(str(self.app.main), state.news, told)
        state.notice = {"subject": subject, "text": text, "channels": self.settings.channels}
        state.news, state.since, state.number = [], None, 0
        state.sent.append(time.time())

    def send(self, place: Place, state: State) -> None:
        """Send the notice to those who lack it."""
        notice: Any = state.notice
        for channel in list(notice["channels"]):
            try:
                sending.send(channel, self.settings, notice["subject"], notice["text"])
            except sending.ERRORS as error:
                logger.warning("A notice could not be sent by %s: %s", channel, one_line(error))
            else:
                notice["channels"].remove(channel)
        if not notice["channels"]:
            state.notice = None
        place.save(state, {})
