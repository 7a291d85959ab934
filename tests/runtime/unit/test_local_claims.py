"""Which processes run on this machine, and where they listen."""

import subprocess

import pytest

from my_celery_project.runtime.local import claims


def test_a_process_runs_once_and_others_beside_it() -> None:
    with claims.claimed(["general", "web"]):
        assert claims.is_running("general")
        assert not claims.is_running("beat")
        with (
            pytest.raises(claims.RunsError, match="general runs already: end the make dev that"),
            claims.claimed(["beat", "general"]),
        ):
            pass
        with claims.claimed(["beat"]):
            assert claims.is_running("beat")
    assert not claims.is_running("general")


def test_a_process_that_outlives_its_runner_still_runs() -> None:
    with claims.claimed(["general"]) as files:
        left = subprocess.Popen(["/bin/sleep", "600"], pass_fds=[files["general"].fileno()])
    assert claims.is_running("general")
    left.kill()
    left.wait()
    assert not claims.is_running("general")


def test_others_learn_where_a_process_listens() -> None:
    assert claims.address("web", "http://default/") == "http://default/"
    with claims.claimed(["web"]) as files:
        claims.tell(files["web"], "http://127.0.0.1:8001/")
        assert claims.address("web", "") == "http://127.0.0.1:8001/"
    assert claims.address("web", "http://default/") == "http://default/"
