"""A Prometheus that reads the processes of a fleet as the project configures it, and what it knows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from servers import PATIENCE, free_port, kill_group, needed, wait_until

#: The bearer token with which Prometheus asks web processes.
TOKEN = "0123456789abcdef" * 2


class Prometheus:
    """A Prometheus that reads metrics every second.

    Args:
        port: The port on which it answers.
        job: What it calls the project.
    """

    def __init__(self, port: int, job: str) -> None:
        self.port, self.job = port, job

    def get(self, path: str, **parameters: str) -> Any:
        """Return what the API answers."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)["data"]

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return the result of a query."""
        result: list[dict[str, Any]] = self.get("query", query=query)["result"]
        return result

    def value(self, query: str) -> float:
        """Return the sum of the values that a query finds now."""
        return sum(float(found["value"][1]) for found in self.ask(query))

    def counted(self, counter: str, **labels: str) -> float:
        """Return by how much counters have grown since the start, also while their processes were replaced.

        Functions of Prometheus estimate what lies between two scrapes. Here each value counts that is above the
        one before it, and after a restart, which begins at nothing, the whole value.
        """
        words = ",".join(f'{name}="{value}"' for name, value in labels.items())
        total = 0.0
        for series in self.ask(f"{counter}{{{words}}}[1h]"):
            before = 0.0
            for _, text in series["values"]:
                total += float(text) - (before if float(text) >= before else 0)
                before = float(text)
        return total


def configured(project: Path, folder: Path, targets: Mapping[str, int], web: int | None, receiver: int | None) -> str:
    """Return the project's own configuration for the processes of a test.

    Args:
        project: The folder of the project.
        folder: The folder of the test, which has the file `alerts.yaml` if there is a receiver.
        targets: The ports of processes, by their name.
        web: The port of the web server, if there is one.
        receiver: The port of Alertmanager, if there is one.
    """
    config = yaml.safe_load((project / "deploy/monitoring/prometheus.yaml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    jobs, ports = config["scrape_configs"], (tuple(targets.values()), (web,))
    assert len(jobs) == 2 - (web is None)
    for job, of_job in zip(jobs, ports, strict=False):
        job.pop("dns_sd_configs")
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}" for port in of_job]}]
    if web is not None:
        (folder / "token").write_text(TOKEN, "utf-8")
        jobs[1]["authorization"]["credentials_file"] = str(folder / "token")
    if receiver is None:
        del config["alerting"], config["rule_files"]
    else:
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [f"127.0.0.1:{receiver}"]}]}]
    return yaml.safe_dump(config)


@contextmanager
def server(program: str, folder: Path, port: int, **options: object) -> Iterator[None]:
    """Run Prometheus or Alertmanager, until the block ends.

    Args:
        program: Its name.
        folder: Where its log is.
        port: Where it answers.
        options: Its options, whose underscores are dots.
    """
    path, log = needed(program), folder / f"{program}.log"
    words = [f"--{name.replace('__', '-').replace('_', '.')}={value}" for name, value in options.items()]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [path, f"--web.listen-address=127.0.0.1:{port}", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_until(partial(is_ready, port), f"{program} answers", explain=partial(log.read_text, "utf-8"))
        yield
    finally:
        kill_group(process.pid)
        process.wait()


def is_ready(port: int) -> bool:
    """Whether Prometheus or Alertmanager answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=PATIENCE) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@contextmanager
def prometheus(
    project: Path, folder: Path, targets: Mapping[str, int], web: int | None = None, receiver: int | None = None
) -> Iterator[Prometheus]:
    """Run a Prometheus with the configuration of a project; the arguments are those of `configured`."""
    port, config = free_port(), folder / "prometheus.yaml"
    config.write_text(configured(project, folder, targets, web, receiver), "utf-8")
    job = yaml.safe_load(config.read_text("utf-8"))["scrape_configs"][0]["job_name"]
    # By default, an alert that fires before Alertmanager is found is told a minute later.
    options = {"storage_tsdb_path": folder / "tsdb", "rules_alert_resend__delay": "1s"}
    with server("prometheus", folder, port, config_file=config, **options):
        yield Prometheus(port, job)
