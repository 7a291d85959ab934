"""The saga of an order, with services that fail at any step."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from {{ cookiecutter.package_name }}.runtime.redis import store
from {{ cookiecutter.package_name }}.settings import settings
from {{ cookiecutter.package_name }}.tasks import (
    notifications,
    orders,
)
from {{ cookiecutter.package_name }}.workflows.orders import place

pytestmark = pytest.mark.usefixtures("worker", "redis")

Ended = Counter[tuple[str, str]]

ORDER = orders.Order(id="7/a", email="ann@example.com", items={"tea": 2}, price=900)
STEPS = ("reservations", "charges", "shipments")


class Shop:
    """The services: they keep what is made, fail as told, and note every change."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.history: list[str] = []
        self.answers: dict[str, list[int]] = {}
        #: Steps that have their effect although they answer with an error.
        self.treacherous: set[str] = set()

    def __call__(self, request: Request) -> Response:
        _, step, order_id = request.path.split("/", 2)
        call = f"{request.method} {step}"
        assert order_id == "7/a"
        assert request.headers["Idempotency-Key"] == f"{request.method}-{step}-7/a"
        status = self.answers[call].pop(0) if self.answers.get(call) else 200
        if status == 200 or step in self.treacherous:
            self.change(request.method, step)
        elif request.method == "DELETE" and step not in self.made:
            status = 404
        return Response(status=status)

    def change(self, method: str, step: str) -> None:
        """Make or delete something; what is there, or gone, stays so."""
        if (step in self.made) == (method == "PUT"):
            return
        self.history.append(f"{method} {step}")
        if method == "PUT":
            self.made.append(step)
        else:
            self.made.remove(step)


@pytest.fixture
def shop(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("APP_SHOP_URL", httpserver.url_for("").rstrip("/"))
    settings.cache_clear()
    shop = Shop()
    for method in ("PUT", "DELETE"):
        for step in STEPS:
            httpserver.expect_request(f"/{step}/7/a", method=method).respond_with_handler(shop)
    yield shop
    settings.cache_clear()


def mail() -> str:
    """Wait for the mail to the customer and return it."""
    deadline = time.monotonic() + 30
    mails: list[str] = []
    while not mails or "" in mails:  # one may be being written
        mails = [path.read_text() for path in notifications.OUTBOX.glob("*.eml")]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
    (only,) = mails
    return only


def test_an_order_is_reserved_charged_and_shipped_and_the_customer_is_told(shop: Shop) -> None:
    place(ORDER).delay()
    assert "is on its way" in mail()
    assert shop.history == [f"PUT {step}" for step in STEPS]


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_fails_once_is_done_once(step: str, shop: Shop) -> None:
    shop.answers[f"PUT {step}"] = [500]
    shop.treacherous = {step}
    place(ORDER).delay()
    assert "is on its way" in mail()
    assert shop.history == [f"PUT {step}" for step in STEPS]


@pytest.mark.parametrize("treacherous", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_when_a_step_fails_for_good_all_before_it_are_undone_in_reverse(
    step: str, treacherous: bool, shop: Shop
) -> None:
    shop.answers[f"PUT {step}"] = [422]
    shop.treacherous = {step} if treacherous else set()
    place(ORDER).delay()
    assert "will not be charged" in mail()
    done = list(STEPS[: STEPS.index(step) + treacherous])
    undone = [f"DELETE {name}" for name in reversed(done)]
    assert shop.history == [f"PUT {name}" for name in done] + undone
    assert shop.made == []


def test_what_undoes_is_tried_again(shop: Shop, ended: Ended, idle: Callable[[], None]) -> None:
    shop.answers = {"PUT shipments": [422], "DELETE charges": [503], "DELETE reservations": [500]}
    place(ORDER).delay()
    assert "will not be charged" in mail()
    assert shop.made == []
    assert shop.history[2:] == ["DELETE charges", "DELETE reservations"]
    idle()
    assert ended["orders.cancel", "RETRY"] == 2


def test_no_step_begins_after_an_order_was_cancelled(shop: Shop, ended: Ended) -> None:
    orders.cancel.delay(ORDER)
    assert "will not be charged" in mail()
    orders.charge.delay(ORDER)
    deadline = time.monotonic() + 30
    while not ended["orders.charge", "FAILURE"]:
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
    assert shop.history == []


def test_a_second_worker_waits_for_the_first_one(
    shop: Shop, ended: Ended, idle: Callable[[], None]
) -> None:
    place_of_lock = store.key("lock", "order:7/a")
    store.client().set(place_of_lock, "another's", px=1000)
    place(ORDER).delay()
    assert "is on its way" in mail()
    idle()
    assert ended["orders.reserve", "RETRY"] == 1
