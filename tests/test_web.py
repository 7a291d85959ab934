"""The web API of generated projects: on real servers, under hostile requests, and by its document."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from conftest import Installed, Running
from servers import Checkout, Fleet, PostgreSQL, Project, free_port, needed, wait_until
from variants import Answers, all_variants, each, variant_id

ADMIN = "administrator-" * 3
BEAT = {"task": "heartbeat.beat"}

#: gunicorn closes a connection that was idle for 2 seconds, perhaps while a request is sent.
NO_IDLE = httpx.Limits(max_keepalive_connections=0)

#: Seconds in which a client hears that something is wrong.
IN_TIME = 3

FRAMEWORKS: list[Answers] = [{"framework": name} for name in ("fastapi", "flask")]
#: Each framework on each broker.
PAIRS: list[Answers] = [{**framework, **broker} for framework in FRAMEWORKS for broker in all_variants("broker")]
each_framework = each(FRAMEWORKS)
each_pair = each(PAIRS)


@contextmanager
def web(fleet: Fleet, **variables: str) -> Iterator[httpx.Client]:
    """Start the web server of a fleet and yield a client."""
    port = free_port()
    fleet.start("web", WEB_PORT=str(port), APP_ADMIN_TOKEN=ADMIN, **variables)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=NO_IDLE) as client:
        fleet.wait(lambda: lives(client), "the web server answers")
        yield client


def lives(client: httpx.Client) -> bool:
    """Whether a web server answers; gunicorn listens before it does."""
    try:
        return client.get("/health/live", timeout=5).is_success
    except httpx.TransportError:
        return False


def check_problem(answer: httpx.Response, *statuses: int) -> None:
    """Make sure that an answer is a problem, and that it came in time."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == answer.status_code
    assert answer.elapsed.total_seconds() < IN_TIME


@each_framework
def test_every_mistake_of_a_client_is_a_problem(answers: Answers, running: Running) -> None:
    with running(answers) as fleet, web(fleet) as client:
        json = {"Content-Type": "application/json"}
        check_problem(client.post("/tasks", json={"task": "celery.backend_cleanup"}), 422)
        check_problem(client.post("/tasks", json={**BEAT, "arguments": {"x": 1}}), 422)
        check_problem(client.post("/tasks", content=b"{", headers=json), 422)
        check_problem(client.post("/tasks", content=b" " * 1_000_001, headers=json), 413)
        check_problem(client.get("/admin/queues", headers={"Authorization": f"Bearer {ADMIN}x"}), 401)
        check_problem(client.get("/admin/queues"), 401)
        check_problem(client.get("/tasks/7"), 422)
        check_problem(client.get(f"/tasks/{uuid4()}"), 404)
        check_problem(client.put("/tasks"), 405)
        check_problem(client.get("/nothing"), 404)


#: What needs a broker.
QUESTIONS = ("admin/workers", "admin/queues", "admin/active", "admin/dead-letters", "health/ready", "health/celery")


@pytest.fixture(params=["closed", "silent"])
def dead_port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield a port on which nobody listens, or on which somebody says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        port = server.getsockname()[1]
        if request.param == "closed":
            server.close()
        yield port


@each_pair
def test_a_dead_broker_is_a_503_in_time(answers: Answers, running: Running, dead_port: int) -> None:
    scheme = "amqp://guest:guest@" if answers["broker"] == "rabbitmq" else "redis://"
    with running(answers) as fleet, web(fleet, CELERY_BROKER_URL=f"{scheme}127.0.0.1:{dead_port}//") as client:
        for _ in range(2):
            check_problem(client.post("/tasks", json=BEAT), 503)
        client.headers["Authorization"] = f"Bearer {ADMIN}"
        for path in QUESTIONS:
            check_problem(client.get(f"/{path}"), 503)
        assert client.get("/health/live").elapsed.total_seconds() < 1


WITH_DATABASE: list[Answers] = [{**answers, "database": "postgresql"} for answers in FRAMEWORKS]


@each(WITH_DATABASE)
def test_a_database_that_is_away_or_hangs_is_a_503_in_time(
    answers: Answers, running: Running, postgresql: PostgreSQL
) -> None:
    url = postgresql.create(f"web_{time.monotonic_ns()}")
    with running(answers) as fleet, web(fleet, DATABASE_URL=url) as client:
        assert client.get("/health/ready").is_success
        with postgresql.away(url):
            for _ in range(2):
                check_problem(answer := client.get("/health/ready"), 503)
                assert answer.json()["detail"].startswith("these servers do not answer: database:")
            assert client.get("/health/live").is_success
        assert client.get("/health/ready").is_success
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            fleet.kill("web")
            hangs = f"postgresql://app@127.0.0.1:{silent.getsockname()[1]}/app"
            with web(fleet, DATABASE_URL=hangs) as other:
                check_problem(other.get("/health/ready"), 503)
                assert other.get("/health/live").is_success


#: Prints the API's document as JSON.
DOCUMENT = """
import json
from {package}.web.app import create_app
api = create_app()
print(json.dumps(api.openapi() if hasattr(api, "openapi") else api.api_doc))
"""


def document(project: Project, cwd: Path) -> dict[str, Any]:
    """Return the OpenAPI document of a project."""
    command = [str(project.environment / "bin" / "python"), "-c", DOCUMENT.format(package=project.package)]
    printed = subprocess.run(command, cwd=cwd, env=project.variables(cwd), stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(printed.stdout)
    return found


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the operations of a document by their ids."""
    methods = [operation for path in document["paths"].values() for operation in path.values()]
    return {operation["operationId"]: operation for operation in methods}


@each([{"result_backend": "redis"}, {"result_backend": "none", "examples": "none"}])
def test_both_frameworks_serve_the_same_document(answers: Answers, installed: Installed, tmp_path: Path) -> None:
    one, other = (document(installed({**framework, **answers}), tmp_path) for framework in FRAMEWORKS)
    other["components"]["schemas"].pop("ProblemBody")  # which flask-openapi adds, and nothing refers to
    for operation in operations(other).values():
        assert operation.pop("deprecated") is False
    assert one == other


@each_framework
def test_every_operation_is_documented_for_people(answers: Answers, installed: Installed, tmp_path: Path) -> None:
    found = document(installed(answers), tmp_path)
    schemas = found["components"]["schemas"]
    assert len(operations(found)) > 15
    for name, operation in operations(found).items():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)+", name)
        assert re.match(r"[A-Z][^.]+\??$", operation["summary"]), name
        answers_by_status = operation["responses"]
        for status, answer in answers_by_status.items():
            if status.startswith(("4", "5")):
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
                example = answer["content"]["application/problem+json"]["example"]
                assert re.fullmatch(status.replace("X", r"\d"), str(example["status"]))
                assert example["detail"]
        assert answers_by_status["422"]["content"]["application/problem+json"]["example"]["errors"]
    for name, schema in schemas.items():
        if name.startswith(("HTTPValidation", "ValidationError", "Problem", "Submission", "Health")):
            continue
        for field, value in schema["properties"].items():
            told = "examples" in value or "$ref" in value.get("items", {})
            assert told, f"{name}.{field} has no example"
    (sent,) = (example for example in schemas["Submission"]["examples"] if example["task"] == "reports.totals")
    assert sent["arguments"] == {"source": "demo/sales.csv", "group_by": "region", "amount": "amount"}


#: Requests that schemathesis makes at least.
REQUESTS = 1000


@each_framework
def test_a_thousand_generated_requests_find_no_server_error(
    answers: Answers, running: Running, tmp_path: Path, summary: Callable[[str], None]
) -> None:
    needed("redis-server")
    with running(answers) as fleet, web(fleet) as client:
        fleet.start("general")
        checks = (
            "not_a_server_error",
            "status_code_conformance",
            "content_type_conformance",
            "response_schema_conformance",
        )
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{client.base_url}/openapi.json"),
            *("--header", f"Authorization: Bearer {ADMIN}"),
            *("--checks", ",".join(checks), "--phases", "examples,coverage,fuzzing"),
            *("--max-examples", "80", "--seed", "1", "--no-color"),
        ]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
        assert result.returncode == 0, result.stdout[-5000:] + result.stderr[-2000:]
        requests = len(re.findall(r'"(?:GET|POST|DELETE|PUT|PATCH|OPTIONS|HEAD|TRACE|QUERY)\b', fleet.log("web")))
        generated = re.search(r"(\d+) generated", result.stdout)
        assert generated, result.stdout[-3000:]
        assert int(generated[1]) >= REQUESTS
        summary(f"{variant_id(answers)}: {generated[1]} generated requests, {requests} in the log, no server error")


#: Options of curl that version 7.68, that of Ubuntu 20.04, does not have.
NEWER_CURL = re.compile(r"--(json|fail-with-body|url-query|variable|expand|rate|remove-on-error|no-clobber)\b")


@pytest.mark.parametrize("checkout", FRAMEWORKS, ids=variant_id, indirect=True)
def test_the_document_word_by_word(checkout: Checkout) -> None:
    needed("curl")
    port = str(free_port())
    checkout.variables["WEB_PORT"] = port
    checkout.start("make", "dev")
    checkout.wait(lambda: "ready: " in checkout.log(), "everything is ready")
    assert f"open http://127.0.0.1:{port}/live" in checkout.run("make", "demo")
    section = (checkout.project.folder / "docs" / "web.md").read_text("utf-8")
    commands = {"sh": ("bash", "-euc"), "python": (".venv/bin/python", "-c")}
    blocks = re.findall(r"```(\w+)\n(.*?)```", section.replace(":8000", f":{port}"), re.DOTALL)
    for option in re.findall(r"curl (.*)", section):
        assert not NEWER_CURL.search(option), option
    send, cancel, follow, program, repair = (checkout.run(*commands[language], block) for language, block in blocks)
    assert re.search(r'"id": "[-0-9a-f]{36}"', send), send
    assert '"SENT"' in cancel, cancel
    assert '"REVOKED"' in cancel, cancel
    for output in (follow, program):
        assert re.findall(r"^event: (?:status|end)$", output, re.MULTILINE)[-1] == "event: end", output
        assert "region,amount" in output
        assert "north," in output
    assert '"messages"' in repair, repair
    assert '"PermanentError"' in repair, repair
    replayed = re.findall(r'"id": "([-0-9a-f]{36})"', repair)[-1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", limits=NO_IDLE) as client:
        wait_until(lambda: client.get(f"/tasks/{replayed}/result").is_success, "the replay succeeds")
    checkout.stop()


@each_framework
def test_production_does_not_start_without_a_token(answers: Answers, running: Running) -> None:
    with running(answers) as fleet:
        code = f"from {fleet.project.package}.web.app import create_app; create_app()"
        command = [str(fleet.project.environment / "bin" / "python"), "-c", code]
        production = {**fleet.variables, "APP_ENV": "production", "APP_SMTP_HOST": "mail.internal"}
        for token, expected in (("", 1), ("a" * 31, 1), ("a" * 32, 0)):
            done = subprocess.run(
                command, cwd=fleet.cwd, env={**production, "APP_ADMIN_TOKEN": token}, capture_output=True, check=False
            )
            assert done.returncode == expected, done.stderr
            assert (b"APP_ADMIN_TOKEN" in done.stderr) == bool(expected)
