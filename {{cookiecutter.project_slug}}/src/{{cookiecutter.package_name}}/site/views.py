{% set keeps_results = cookiecutter._keeps_results[cookiecutter.result_backend] %}
"""Jobs over HTTP: submit, look, cancel."""

from __future__ import annotations

import json
from http import HTTPStatus
from uuid import UUID

{% if keeps_results %}
from celery import states
{% endif %}
from celery.utils.log import get_logger
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST
from kombu.exceptions import OperationalError
from pydantic import ValidationError
{% if cookiecutter.result_backend == "redis" %}
from redis.exceptions import RedisError
{% endif %}

from ..celery import app
from ..runtime.django.answers import needs_token, problem
from ..runtime.django.models import Job
{% if keeps_results %}
from ..runtime.tasks.progress import PROGRESS, ProgressTask
{% endif %}
from .catalog import CATALOG

logger = get_logger(__name__)

#: What a broker{{ " or a result backend" if cookiecutter.result_backend == "redis" }} that is away raises.
OUTAGES = {{ "(OperationalError, RedisError)" if cookiecutter.result_backend == "redis" else "OperationalError" }}
{% if keeps_results %}

#: Whether a running task can be ended from outside: a process and a greenlet can, a thread cannot.
CAN_TERMINATE = {{ "False" if cookiecutter.pool in ("threads", "solo") else "True" }}
{% endif %}


@needs_token
@require_POST
def submit(request: HttpRequest, name: str) -> HttpResponse:
    """Accept a job; the body is a JSON object with its arguments."""
    if name not in CATALOG:
        known = ", ".join(CATALOG)
        return problem(HTTPStatus.NOT_FOUND, f"there is no job {name!r}: use one of {known}")
    entry = CATALOG[name]
    try:
        arguments = entry.arguments.model_validate_json(request.body or b"{}")
    except RequestDataTooBig:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
    except ValidationError as error:
        wrong = json.loads(error.json(include_url=False, include_input=False))
        return problem(
            HTTPStatus.UNPROCESSABLE_ENTITY, "the arguments are wrong: see errors", errors=wrong
        )
    try:
        job = Job.objects.submit(name, entry.task, arguments.model_dump(mode="json"))
    except OUTAGES as error:
        return away(error)
    url = reverse("job", args=[job.pk])
    answer = JsonResponse({"id": job.pk, "url": url}, status=HTTPStatus.ACCEPTED)
    answer["Location"] = url
    return answer


@needs_token
@require_http_methods(["GET", "DELETE"])
def job(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show a job, or cancel it."""
    found = Job.objects.filter(pk=job_id).first()
    if found is None:
        return problem(HTTPStatus.NOT_FOUND, f"there is no job {job_id}")
    try:
        return cancel(found) if request.method == "DELETE" else JsonResponse(shown(found))
    except OUTAGES as error:
        return away(error)


def away(error: Exception) -> HttpResponse:
    """Return the error for a server that cannot be reached."""
    logger.error("%s: %s", type(error).__name__, error)
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, "broker or results are away: try again later")
{% if keeps_results %}


def shown(job: Job) -> dict[str, object]:
    """Return what is told of a job. States are those of Celery; PENDING is one that waits."""
    meta = app.backend.get_task_meta(str(job.pk))
    state, value = meta["status"], meta["result"]
    told = {"id": job.pk, "job": job.name, "requested_at": job.requested_at, "state": state}
    if state == PROGRESS:
        told["progress"] = value
    elif state == states.SUCCESS:
        told["result"] = value
    elif state == states.FAILURE:
        told["error"] = f"{type(value).__name__}: {value}"
    elif state == states.PENDING and job.cancelled_at:
        told["state"] = states.REVOKED
    return told


def cancel(job: Job) -> HttpResponse:
    """Cancel a job that has not ended.

    One that reports its progress ends at its next report, under every pool; another one is ended
    from outside.
    """
    state = shown(job)["state"]
    if state in states.READY_STATES:
        return problem(HTTPStatus.CONFLICT, f"the job has ended: {state}")
    reports = job.name in CATALOG and isinstance(CATALOG[job.name].task, ProgressTask)
    # Workers on the file broker share a queue: it stays locked when one of them is ended.
    terminate = CAN_TERMINATE and not app.conf.broker_url.startswith("filesystem:")
    if state == states.STARTED and not (reports or terminate):
        return problem(HTTPStatus.CONFLICT, "the job runs, and its pool cannot end it")
    job.cancel()
    app.control.revoke(str(job.pk), terminate=terminate and not reports)
    return JsonResponse(shown(job), status=HTTPStatus.ACCEPTED)
{% else %}


def shown(job: Job) -> dict[str, object]:
    """Return what is told of a job; without a result backend nobody knows its state."""
    return {
        "id": job.pk,
        "job": job.name,
        "requested_at": job.requested_at,
        "cancelled_at": job.cancelled_at,
    }


def cancel(job: Job) -> HttpResponse:
    """Cancel a job; one that runs or has ended is not changed."""
    job.cancel()
    app.control.revoke(str(job.pk))
    return JsonResponse(shown(job), status=HTTPStatus.ACCEPTED)
{% endif %}
