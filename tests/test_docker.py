"""A real engine builds images of projects and runs their compose files; tools check those of every variant."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml

from conftest import Copied
from engine import Engine, docker_engine, tool
from servers import PATIENCE, PROBE, Project, free_port, wait_until
from support import UV, run
from variants import Answers, Choice, each, load, pairwise, variant_id

Baked = Callable[[Answers], Path]

VARIANTS = [answers for answers in pairwise() if answers["docker"]]
BUDGET, RESOURCES = load()["_time_budget"], load()["_resources"]
DEVELOPMENT, PRODUCTION = "compose.override.yaml", "compose.prod.yaml"

#: Passwords that `make env` would make up.
SECRETS = {f"{name}_PASSWORD": "s3cr3t" for name in ("GRAFANA", "POSTGRES", "RABBITMQ", "REDIS")}


# Without an engine: every variant's files


def composed(project: Path, *others: str, **variables: str) -> dict[str, Any]:
    """Return a project's configuration as compose reads it."""
    (project / ".env").touch()
    files = [word for file in ("compose.yaml", *others) for word in ("--file", file)]
    given = {**SECRETS, "APP_SMTP_HOST": "mail.internal", **variables}
    config = run([tool("docker-compose"), *files, "config", "--format", "json"], project, **given)
    return dict(json.loads(config)["services"])


def lint(project: Path) -> list[dict[str, Any]]:
    """Check the files as their owner would; return what compose makes of them, in development and in production."""
    tool("docker-compose")  # before the time that the others take
    program = Path(sys.executable).parent
    run([sys.executable, "-m", "yamllint", "--strict", "."], project)
    run([str(program / "hadolint"), "--failure-threshold", "style", "Dockerfile"], project)
    return [composed(project, other) for other in (DEVELOPMENT, PRODUCTION)]


def with_defaults(line: str) -> str:
    """Return a line of a Procfile as a shell without variables would see it."""
    return re.sub(r"\$\{\w+:-(.*?)\}", r"\1", line)


@pytest.mark.parametrize("answers", VARIANTS, ids=variant_id)
def test_the_files_of_a_variant_are_clean_and_agree_with_its_fleet(
    answers: Answers, copied: Copied, tmp_path: Path
) -> None:
    project = copied(answers, tmp_path)
    development, production = lint(project)
    lines = Project(project).deployed(answers)
    ours = {name: service for name, service in production.items() if service.get("init")}
    assert set(lines) == set(ours) - {"migrate"}
    for name, line in lines.items():
        service, limits = ours[name], ours[name]["deploy"]["resources"]["limits"]
        host = with_defaults(line).replace("127.0.0.1", "0.0.0.0")  # noqa: S104
        assert service["command"] == shlex.split(host)
        assert service["stop_grace_period"] == "5m30s"
        assert limits == {"cpus": RESOURCES[name]["cpus"], "memory": str(RESOURCES[name]["memory"] * 2**20)}
        assert service["restart"] == "unless-stopped"
        replicas = service["deploy"].get("replicas", 1)
        assert replicas == 1 or name not in {"web", "beat"} or answers["beat"] == "redbeat"
        share = int(service["environment"].get("CELERY_WORKER_MAX_MEMORY_PER_CHILD", 0))
        if match := re.search(r"--pool prefork --concurrency (\d+)", " ".join(service["command"])):
            assert 0 < share * 1024 * int(match[1]) < int(limits["memory"])
        assert service["environment"]["APP_ENV"] == "production"
        assert development[name]["environment"]["APP_ENV"] == "development"
        mounted = [volume["source"] for volume in service["volumes"] if volume["type"] == "bind"]
        assert not mounted, "production runs the code of the image"
    for service in (*development.values(), *production.values()):
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert service["logging"]["options"] == {"max-file": "3", "max-size": "10m"}
        assert {port["host_ip"] for port in service.get("ports", [])} <= {"127.0.0.1"}
    for name in set(production) - set(ours):
        assert "ports" not in production[name], "nobody outside needs the servers"
        assert production[name]["healthcheck"]["test"]


@each([{"framework": "fastapi"}, {"broker": "rabbitmq", "result_backend": "none"}])
def test_the_profile_for_monitoring_has_what_it_needs(answers: Answers, copied: Copied, tmp_path: Path) -> None:
    project = copied(answers, tmp_path)
    usual = composed(project, PRODUCTION)
    all_of_them = composed(project, PRODUCTION, COMPOSE_PROFILES="monitoring", APP_METRICS_TOKEN="0" * 32)
    added = {name: service for name, service in all_of_them.items() if name not in usual}
    assert set(added) == {"prometheus", "alertmanager", "grafana", "receiver"}
    for name, service in added.items():
        assert service["cap_drop"] == ["ALL"]
        assert service["read_only"]
        assert service["healthcheck"]["test"]
        assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
        assert {port["host_ip"] for port in service.get("ports", [])} == (
            set() if name == "receiver" else {"127.0.0.1"}
        )
        for volume in service["volumes"]:
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), volume
    config = yaml.safe_load((project / "deploy/monitoring/prometheus.yaml").read_text("utf-8"))
    found = {name for job in config["scrape_configs"] for row in job["dns_sd_configs"] for name in row["names"]}
    assert found == Project(project).deployed(answers).keys()
    (target,) = config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    assert target.partition(":")[0] in added
    assert {secret["source"] for secret in added["prometheus"].get("secrets", [])} == (
        {"metrics-token"} if "web" in usual else set()
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("compose.yaml", "stop_grace_period:", "stop_grace:", "stop_grace"),
        ("compose.yaml", "condition: service_healthy", "condition: healthy", "condition"),
        ("compose.prod.yaml", "  general:", "  generel:", "generel"),
        ("compose.yaml", "x-app: &app", "x-app:   &app", "spaces"),
        ("Dockerfile", "WORKDIR /app", "WORKDIR app", "DL3000"),
        ("Dockerfile", 'CMD ["celery"', "CMD celery [", "DL3025"),
    ],
)
def test_each_tool_finds_a_broken_file(
    file: str, old: str, new: str, complaint: str, baked: Baked, tmp_path: Path
) -> None:
    project = shutil.copytree(baked({}), tmp_path / "project")
    text = (project / file).read_text("utf-8")
    assert old in text
    (project / file).write_text(text.replace(old, new), "utf-8")
    with pytest.raises(AssertionError, match=complaint):
        lint(project)


def test_without_a_password_compose_says_what_to_do(baked: Baked, tmp_path: Path) -> None:
    project = shutil.copytree(baked({}), tmp_path / "project")
    with pytest.raises(AssertionError, match="REDIS_PASSWORD is missing a value: run make env"):
        composed(project, REDIS_PASSWORD="")


# make env


def make_env(project: Path) -> subprocess.CompletedProcess[str]:
    """Run `make env` with no more than the system has."""
    return subprocess.run(
        ["make", "env"], cwd=project, env={"PATH": os.defpath}, capture_output=True, encoding="utf-8", check=False
    )


def values(file: Path) -> dict[str, str]:
    """Return the variables that a file sets."""
    return dict(re.findall(r"(?m)^(\w+)=(.*)$", file.read_text("utf-8")))


@pytest.mark.parametrize("framework", ["none", "django", "fastapi"])
def test_make_env_makes_up_secrets_and_overwrites_nothing(framework: str, baked: Baked, tmp_path: Path) -> None:
    found: list[str] = []
    for number in "12":
        project = shutil.copytree(baked({"framework": framework}), tmp_path / number)
        made = make_env(project)
        assert (made.returncode, made.stderr) == (0, "")
        env, example = project / ".env", project / ".env.example"
        assert env.stat().st_mode & 0o777 == 0o600
        secrets = values(env)
        assert secrets.keys() == values(example).keys()
        assert all(re.fullmatch(r"[0-9a-f]{64}", secret) for secret in secrets.values())
        assert re.sub(r"(?m)^(\w+=).+$", r"\1", env.read_text("utf-8")) == example.read_text("utf-8")
        found += secrets.values()
        again = make_env(project)
        assert again.returncode != 0
        assert again.stderr.splitlines()[0] == ".env exists: edit it, or move it away first"
        assert values(env) == secrets
    assert len(set(found)) == len(found) > 0
    assert ".env\n" in (project / ".gitignore").read_text("utf-8")


# With an engine

with_engine = pytest.mark.xdist_group("docker")

HOSTILE: Answers = {
    "project_name": """It's "$HOME" ${PATH} \\$x \\ 100% # 🚀""",
    "description": """`id` $(id) <a> 'b' "c\\" &&""",
    "author_name": """Ann "$USER" O'Neil\\""",
}


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Run a Docker engine."""
    with docker_engine() as server:
        yield server


class Deployment:
    """A project whose compose files an engine runs, with the probe in its workers.

    Args:
        engine: The engine.
        folder: Folder of the project.
        variables: What its owner would add to `.env`.
    """

    def __init__(self, engine: Engine, folder: Path, **variables: str) -> None:
        self.engine, self.project, self.name = engine, Project(folder), folder.name
        self.port = free_port()
        assert make_env(folder).returncode == 0
        with (folder / ".env").open("a", encoding="utf-8") as env:
            for name, value in {"WEB_PORT": str(self.port), **variables}.items():
                env.write(f"{name}={value}\n")
        probe: dict[str, Any] = {
            "environment": {"CELERY_WORKER_INCLUDE": "probe", "PROBE_FILE": "/data/records", "PYTHONPATH": "/probe"},
            "volumes": [f"{PROBE}:/probe:ro"],
        }
        extra = {"services": dict.fromkeys(self.project.workers, probe)}
        (folder / "compose.probe.yaml").write_text(yaml.safe_dump(extra), "utf-8")
        self.file = DEVELOPMENT

    def build(self) -> float:
        """Build the image and return how long that took."""
        start = time.monotonic()
        # As `docker compose build` does, on the network of this machine.
        words = ("build", "--quiet", "--network=host", "--tag", f"{self.name}:latest", ".")
        self.engine(*words, cwd=self.project.folder)
        return time.monotonic() - start

    def __call__(self, *words: str) -> str:
        """Run a command of `docker compose`."""
        names = ("compose.yaml", self.file, "compose.probe.yaml")
        return self.engine("compose", *words, cwd=self.project.folder, COMPOSE_FILE=":".join(names))

    def up(self) -> float:
        """Start everything, wait until it is healthy, and return how long that took."""
        start = time.monotonic()
        try:
            self("up", "--detach", "--no-build", "--wait")
        except AssertionError as error:
            with suppress(AssertionError):
                pytest.fail(f"{error}\n{self('ps', '--all')}\n{self('logs', '--tail', '40')[-20000:]}")
            raise
        return time.monotonic() - start

    def containers(self) -> list[dict[str, Any]]:
        """Return all about the containers."""
        return self.engine.inspect(*self("ps", "--all", "--quiet").split())

    def main_process(self, service: str) -> int:
        """Return the process id of a service on this machine, below its init."""
        (container,) = self.engine.inspect(*self("ps", "--quiet", service).split())
        init = container["State"]["Pid"]
        return int(Path(f"/proc/{init}/task/{init}/children").read_text("utf-8").split()[0])

    def sh(self, service: str, script: str) -> tuple[bool, str]:
        """Run a script in a container; return whether it succeeded, and what it wrote."""
        try:
            return True, self("exec", "-T", service, "sh", "-c", f"{script} 2>&1")
        except AssertionError as error:
            return False, str(error)

    def send(self, *calls: tuple[str, float, str]) -> list[str]:
        """Send tasks, each with one argument to a queue, from the last worker and return their ids."""
        program = (
            f"import json, sys; from {self.project.package}.celery import app;"
            "print(json.dumps([app.send_task(name, [argument], queue=queue).id"
            " for name, argument, queue in json.loads(sys.argv[1])]))"
        )
        words = ("exec", "-T", list(self.project.workers)[-1], "python", "-c", program, json.dumps(calls))
        return list(json.loads(self(*words).splitlines()[-1]))

    def seen(self, **wanted: object) -> list[dict[str, Any]]:
        """Return the records of the probe that have these values."""
        path = self.engine.volume(f"{self.name}_data") / "records"
        text = path.read_text("utf-8") if path.exists() else ""
        entries = [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]
        return [entry for entry in entries if wanted.items() <= entry.items()]

    def wait_for(self, event: str, ids: list[str]) -> None:
        """Wait until tasks have started, or ended."""

        def holds() -> bool:
            return {entry["id"] for entry in self.seen(event=event)} >= set(ids)

        wait_until(holds, f"{event} of every task", 2 * PATIENCE, lambda: self("logs", "--tail", "30")[-10000:])


def check_every_worker(deployment: Deployment) -> None:
    """Run a task through each queue, in the worker that consumes it."""
    consumers = {queue: worker for worker, queues in deployment.project.workers.items() for queue in queues}
    ids = deployment.send(*(("probe.sleep", 0.0, queue) for queue in consumers))
    deployment.wait_for("end", ids)
    for task_id, (queue, worker) in zip(ids, consumers.items(), strict=True):
        (entry,) = deployment.seen(event="end", id=task_id)
        assert (entry["queue"], entry["worker"], entry["state"]) == (queue, worker, "SUCCESS")


def check_confinement(deployment: Deployment) -> None:
    """Check the privileges of every container, and try forbidden actions."""
    for container in deployment.containers():
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Memory"]
        assert host["NanoCpus"]
        service = container["Config"]["Labels"]["com.docker.compose.service"]
        assert host["ReadonlyRootfs"] or service == "rabbitmq"
        if container["Config"]["Image"].startswith(f"{deployment.name}:"):
            assert container["Config"]["User"] == "10001:10001"
            assert container["Config"]["StopSignal"] == "SIGTERM"
    for worker in deployment.project.workers:
        _, found = deployment.sh(worker, "id -u; touch /data/x /tmp/x && echo written; touch /app/x /x")
        assert found.splitlines()[0].split()[-1] != "0"
        assert "written" in found
        assert found.count("Read-only file system") == 2


def check_stop(deployment: Deployment, seconds: float = 4) -> None:
    """Stop everything while each worker runs a task for so long: all ends, by itself."""
    queues = [queues[0] for queues in deployment.project.workers.values()]
    running = deployment.send(*(("probe.sleep", seconds, queue) for queue in queues))
    deployment.wait_for("start", running)
    start = time.monotonic()
    deployment("stop")
    took = time.monotonic() - start
    assert took < BUDGET["shutdown_grace"]
    for container in deployment.containers():
        # uvicorn raises the signal again when it has shut down.
        allowed = {0, 128 + signal.SIGTERM} if container["Path"] == "uvicorn" else {0}
        code = container["State"]["ExitCode"]
        assert code in allowed, f"{container['Name']}: {code}\n{deployment('logs', '--tail', '30')}"
    for task_id in running:
        assert [entry["state"] for entry in deployment.seen(event="end", id=task_id)] == ["SUCCESS"]
        assert len(deployment.seen(event="start", id=task_id)) == 1


def check_probe(deployment: Deployment, service: str) -> None:
    """Check that the probe succeeds while a process works, and fails while it does not."""
    # Older than any pool may be; who lives touches it within 5 seconds.
    backdate = "touch -d '-1000 seconds' /tmp/heartbeat"
    assert deployment.sh(service, backdate)[0]
    wait_until(lambda: deployment.sh(service, "/app/deploy/alive")[0], "the probe succeeds", 30)
    process = deployment.main_process(service)
    os.kill(process, signal.SIGSTOP)
    try:
        assert deployment.sh(service, f"{backdate}; sleep 6")[0]
        alive, output = deployment.sh(service, "/app/deploy/alive")
        assert not alive
        assert re.search(r"heartbeat was last touched 10\d\d s ago", output)
    finally:
        os.kill(process, signal.SIGCONT)


def healthy(port: int) -> bool:
    """Whether the web server says that it and its servers work."""
    with urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=PATIENCE) as answer:
        return bool(answer.status == 200)


@pytest.fixture
def deploy(engine: Engine, copied: Copied, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Return a function that bakes a project for the engine; all that it runs ends with the test."""
    started: list[Deployment] = []

    def bake(answers: dict[str, Choice], **variables: str) -> Deployment:
        deployment = Deployment(engine, copied(answers, tmp_path), **variables)
        started.append(deployment)
        return deployment

    yield bake
    for deployment in started:
        deployment("down", "--volumes", "--timeout", "5")


@with_engine
def test_a_project_with_hostile_texts_is_built_run_and_stopped(
    deploy: Callable[..., Deployment], summary: Callable[[str], None]
) -> None:
    deployment = deploy({"project_slug": "hostile", **HOSTILE})
    built, folder = deployment.build(), deployment.project.folder
    (image,) = deployment.engine.inspect("hostile:latest")
    (base,) = deployment.engine.inspect("python:3.13-slim-trixie")
    labels = {name.rpartition(".")[2]: text for name, text in image["Config"]["Labels"].items()}
    assert labels["title"] == HOSTILE["project_name"]
    assert labels["description"] == HOSTILE["description"]
    assert labels["authors"] == HOSTILE["author_name"]
    assert (folder / ".env").exists()
    found = deployment.engine("run", "--rm", "--entrypoint", "ls", "hostile:latest", "--almost-all", "/app")
    assert found.split() == [".venv", "LICENSE", "README.md", "deploy", "pyproject.toml", "src", "uv.lock"]
    up = deployment.up()
    check_every_worker(deployment)
    check_confinement(deployment)
    check_probe(deployment, "cpu")
    check_stop(deployment, 13)  # Docker's default is to wait for 10 seconds
    megabytes = (image["Size"] - base["Size"]) / 1e6
    summary(f"Docker: image built in {built:.0f} s, {megabytes:.0f} MB more than Python; healthy {up:.0f} s after `up`")


@with_engine
def test_django_is_built_from_a_lock_file_run_and_stopped(deploy: Callable[..., Deployment]) -> None:
    in_rows: Answers = {"database": "postgresql", "result_backend": "database", "beat": "database"}
    deployment = deploy({"project_slug": "shop", "framework": "django", **in_rows})
    run([*UV, "lock", "--quiet", "--python", sys.executable], deployment.project.folder)
    deployment.build()
    lock = deployment.engine("run", "--rm", "--entrypoint", "cat", "shop:latest", "/app/uv.lock")
    assert lock == (deployment.project.folder / "uv.lock").read_text("utf-8")
    deployment.up()
    assert healthy(deployment.port)
    with urlopen(f"http://127.0.0.1:{deployment.port}/static/admin/css/base.css", timeout=PATIENCE) as answer:
        assert answer.status == 200
    check_every_worker(deployment)
    check_confinement(deployment)
    check_stop(deployment)


@with_engine
def test_an_api_moves_from_development_to_production_and_loses_nothing(deploy: Callable[..., Deployment]) -> None:
    deployment = deploy(
        {"project_slug": "api", "framework": "fastapi", "broker": "rabbitmq", "database": "postgresql"},
        APP_SMTP_HOST="mail.internal",
        **{f"{name}_REPLICAS": "1" for name in ("CRITICAL", "IO")},
    )
    deployment.build()
    deployment.up()
    assert healthy(deployment.port)
    check_every_worker(deployment)
    check_confinement(deployment)
    # More than the worker can run at once: what it has not started stays in the queue.
    waiting = deployment.send(*[("probe.sleep", 3.0, "cpu")] * 8)
    check_stop(deployment)
    deployment("down")
    deployment.file = PRODUCTION
    deployment.up()
    assert healthy(deployment.port)
    deployment.wait_for("end", waiting)
    assert sorted(entry["id"] for entry in deployment.seen(event="end", args=[3.0])) == sorted(waiting)
    check_every_worker(deployment)
    running = deployment.containers()
    policies = {container["HostConfig"]["RestartPolicy"]["Name"] for container in running}
    services = [container["Config"]["Labels"]["com.docker.compose.service"] for container in running]
    assert policies == {"unless-stopped", "no"}, "only migrate runs once"
    assert {name: services.count(name) for name in ("general", "io", "beat")} == {"general": 2, "io": 1, "beat": 1}
    check_stop(deployment)
