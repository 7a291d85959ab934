"""Whether this process lives, and whether it can do its work."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from celery import current_app
from celery.utils.log import get_logger
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

logger = get_logger(__name__)


def ask_database() -> None:
    """Fail if the database does not answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def ask_broker() -> None:
    """Fail if the broker does not answer."""
    with current_app.connection_for_write() as broker:
        broker.ensure_connection(max_retries=0)


CHECKS: dict[str, Callable[[], None]] = {"database": ask_database, "broker": ask_broker}


@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Answer: the process lives."""
    return JsonResponse({"live": True})


@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether database and broker answer; the log says why one does not."""
    working: dict[str, bool] = {}
    for name, check in CHECKS.items():
        try:
            check()
            working[name] = True
        except Exception:  # whatever it is: it does not work
            logger.exception("%s does not answer", name)
            working[name] = False
    good = all(working.values())
    return JsonResponse(
        {"ready": good, **working},
        status=HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE,
    )
