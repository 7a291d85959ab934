"""Chords with parts that fail, on a real broker."""

import subprocess
import sys
import time

import pytest

from my_celery_project.runtime.tasks import chords  # noqa: F401 - what this is about
from my_celery_project.runtime.testing.fleet import Fleet
from my_celery_project.runtime.testing.servers import wait_until

pytestmark = pytest.mark.integration

#: More than one, because a chord that goes wrong does so by chance.
ROUNDS = 4


def test_a_failing_header_calls_its_error_callback_once(fleet: Fleet) -> None:
    fleet.start_with("chords", "one")
    send = [sys.executable, "-c", f"import chords; chords.send_chords({ROUNDS})"]
    subprocess.run(send, env=fleet.environment, timeout=60, check=True)
    wait_until(lambda: fleet.log().count("error callback ran") >= 2 * ROUNDS)
    wait_until(lambda: fleet.log().count("body ran") >= ROUNDS)
    time.sleep(2)
    assert fleet.log().count("error callback ran") == 2 * ROUNDS
    assert fleet.log().count("body ran") == ROUNDS
