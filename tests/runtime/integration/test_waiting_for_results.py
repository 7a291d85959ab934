"""Waiting for a result in Redis while the connection breaks."""

import uuid
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis

from my_celery_project.runtime.redis import results
from my_celery_project.runtime.testing.fleet import Fleet

pytestmark = pytest.mark.integration


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # by Celery
def test_a_result_that_comes_before_the_new_subscription_is_heard_of(fleet: Fleet) -> None:
    assert isinstance(fleet.app.backend, results.Results)
    backend: Any = fleet.app.backend
    url, read = fleet.app.conf.result_backend, backend.client.mget
    result = fleet.app.AsyncResult(uuid.uuid4().hex)

    def read_and_store(keys: Any) -> Any:
        values = read(keys)
        results.Results(url=url, app=fleet.app).store_result(result.id, 42, "SUCCESS")
        return values

    backend.add_pending_result(result)
    waiting = backend._wait_for_pending(result, timeout=20)
    next(waiting)  # it has subscribed, and there is no result
    with Redis.from_url(url) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
    with patch.object(backend.client, "mget", read_and_store):
        list(waiting)
    assert result.result == 42
