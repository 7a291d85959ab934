"""A Docker engine for the tests, and images of servers that need no registry.

The programs are those of Debian 13 in DEPLOY_TOOLS, the images are made of the Debian 13 in
NEWER_SERVERS and have the names that generated projects use: `.ci/run` makes both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from servers import MADE, NEWER_ROOT, kill_group, missing, needed, newer, processes, wait_until

#: The folder that holds the programs.
TOOLS = os.environ.get("DEPLOY_TOOLS", "")

#: Parts of the root that no image needs.
LEFT_OUT = ("./var/cache", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/locale", "./usr/share/man")

#: Variables that tell pip and uv where to get packages on this machine, and which certificates to use.
REGISTRIES = re.compile(r"(PIP|UV)_(\w+_)?(INDEX\w*|TRUSTED_HOST|INSECURE_HOST)|(https?|no)_proxy", re.IGNORECASE)
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"

#: Tables of the firewall before anybody writes rules.
EMPTY_TABLES = (b"*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\nCOMMIT\n", b"*nat\nCOMMIT\n")

#: Replacements for the official images, as far as generated projects rely on them.
IMAGES = """
FROM root AS python
RUN ln -s python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
COPY ca-certificates.crt {certificates}
ENV SSL_CERT_FILE={certificates} {variables}

FROM root AS redis
RUN install --directory --owner redis --group redis /data
WORKDIR /data
VOLUME /data

FROM root AS rabbitmq
ENV HOME=/var/lib/rabbitmq RABBITMQ_LOGS=-
VOLUME /var/lib/rabbitmq
CMD ["/usr/lib/rabbitmq/bin/rabbitmq-server"]

FROM root AS postgres
RUN install --directory --owner postgres --group postgres --mode 700 /var/lib/postgresql/data
RUN chmod 3777 /run/postgresql
COPY --chmod=755 entrypoint /
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
ENTRYPOINT ["/entrypoint"]
"""

#: What the official image of PostgreSQL does with its variables.
ENTRYPOINT = r"""#!/bin/sh
set -e
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH PGDATA=/var/lib/postgresql/data PGPASSWORD=$POSTGRES_PASSWORD
export PATH PGDATA PGPASSWORD
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  echo "$POSTGRES_PASSWORD" >/tmp/password
  initdb --no-sync --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8
  echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
  echo "listen_addresses = '*'" >>"$PGDATA/postgresql.conf"
  pg_ctl -w -o "-c listen_addresses=''" start
  createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
  pg_ctl -w -m fast stop
fi
exec "$@"
"""


def tool(name: str) -> str:
    """Return the path of a program of DEPLOY_TOOLS; without it, skip the test, or fail it in CI."""
    if not TOOLS:
        missing("the folder with Docker and kubectl that DEPLOY_TOOLS names", MADE)
    folders = ("usr/bin", "usr/sbin", "usr/libexec/docker/cli-plugins")
    path = shutil.which(name, path=":".join(f"{TOOLS}/{folder}" for folder in folders))
    if path is None:
        missing(f"{name} in {TOOLS}", MADE)
    return path


@dataclass(frozen=True)
class Engine:
    """A Docker engine.

    Args:
        folder: What it keeps.
        variables: The environment of its clients.
    """

    folder: Path
    variables: Mapping[str, str]

    def __call__(self, *words: str, cwd: Path | None = None, timeout: float = 600, **variables: str) -> str:
        """Run a command of `docker` that must succeed, and return what it printed."""
        result = subprocess.run(
            [tool("docker"), *words],
            cwd=cwd or self.folder,
            env={**self.variables, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
        assert result.returncode == 0, f"docker {' '.join(words)}:\n{result.stdout}\n{result.stderr[-5000:]}"
        return result.stdout

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        """Return all details of containers, images and so on."""
        return list(json.loads(self("inspect", *names)))

    def volume(self, name: str) -> Path:
        """Return the folder of a volume."""
        return self.folder / "data" / "volumes" / name / "_data"


@contextmanager
def firewall_kept() -> Iterator[None]:
    """Undo the changes that an engine makes to the network of this machine."""
    forward = Path("/proc/sys/net/ipv4/ip_forward")
    before = forward.read_text()
    rules = subprocess.run([needed("iptables-save")], capture_output=True, check=True).stdout
    if b"DOCKER-USER" in rules:
        missing("a firewall that no other Docker engine rules", "stop the Docker of this machine")
    empty = b"".join(table for table in EMPTY_TABLES if table.splitlines()[0] not in rules.splitlines())
    try:
        yield
    finally:
        subprocess.run([needed("iptables-restore")], input=rules + empty, check=True)
        forward.write_text(before)


@contextmanager
def docker_engine() -> Iterator[Engine]:
    """Run a Docker engine that has the images, and remove all traces of it afterwards."""
    newer()
    runtime, daemon = needed("runc"), tool("dockerd")
    with ExitStack() as stack:
        # A short path, because it holds sockets; not in memory, because it grows large.
        place = TemporaryDirectory(prefix="ct-", dir="/var/tmp", ignore_cleanup_errors=True)
        folder = Path(stack.enter_context(place))
        # One engine at a time, because each saves and restores the firewall.
        stack.enter_context(FileLock(Path(TOOLS, "lock")))
        stack.enter_context(firewall_kept())
        plugins = folder / "config" / "cli-plugins"
        plugins.mkdir(parents=True)
        for plugin in ("docker-buildx", "docker-compose"):
            (plugins / plugin).symlink_to(tool(plugin))
        settings = {
            "data-root": str(folder / "data"),
            "exec-root": str(folder / "exec"),
            "pidfile": str(folder / "pid"),
            "hosts": [f"unix://{folder}/socket"],
            "bridge": "none",
            "init-path": tool("docker-init"),
            "userland-proxy-path": tool("docker-proxy"),
            "runtimes": {"ours": {"path": runtime}},
            "default-runtime": "ours",
            # Erlang allocates a table for as many files as it may open.
            "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 20000, "Soft": 20000}},
        }
        (folder / "daemon.json").write_text(json.dumps(settings), "utf-8")
        path = f"{TOOLS}/usr/bin:{TOOLS}/usr/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        variables = {
            "DOCKER_CONFIG": str(folder / "config"),
            "DOCKER_HOST": f"unix://{folder}/socket",
            "HOME": str(folder),
            "PATH": path,
        }
        engine = Engine(folder, variables)
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [daemon, "--config-file", str(folder / "daemon.json")],
                env={"PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        stack.callback(end, server, engine)

        def works() -> bool:
            assert server.poll() is None, (folder / "log").read_text("utf-8", "replace")[-5000:]
            return (folder / "socket").exists() and "completed initialization" in (folder / "log").read_text("utf-8")

        wait_until(works, "the engine works", explain=lambda: (folder / "log").read_text("utf-8", "replace")[-5000:])
        make_images(engine)
        yield engine


def make_images(engine: Engine) -> None:
    """Make an image of the Debian 13, and from it a replacement for each official image."""
    folder = engine.folder / "images"
    folder.mkdir()
    excluded = [f"--exclude={path}" for path in LEFT_OUT]
    command = ["tar", "-C", NEWER_ROOT, "--one-file-system", *excluded, "-c", "."]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:
        importing = [tool("docker"), "import", "-", "root"]
        subprocess.run(importing, env=engine.variables, stdin=archive.stdout, check=True, stdout=subprocess.DEVNULL)
    assert archive.returncode == 0
    shutil.copy(CERTIFICATES, folder / "ca-certificates.crt")
    given = {name: value for name, value in os.environ.items() if REGISTRIES.fullmatch(name)}
    variables = " ".join(f"{name}={json.dumps(value)}" for name, value in given.items())
    (folder / "entrypoint").write_text(ENTRYPOINT, "utf-8")
    (folder / "Dockerfile").write_text(IMAGES.format(certificates=CERTIFICATES, variables=variables), "utf-8")
    for name in ("python:3.13-slim-trixie", "redis:8", "rabbitmq:4", "postgres:17"):
        target = name.partition(":")[0]
        engine("build", "--quiet", "--network=host", "--target", target, "--tag", name, str(folder))


def end(server: subprocess.Popen[bytes], engine: Engine) -> None:
    """End an engine with everything that it has started and mounted."""
    with suppress(AssertionError, subprocess.TimeoutExpired):
        if containers := engine("ps", "--all", "--quiet", timeout=60).split():
            engine("rm", "--force", "--volumes", *containers, timeout=60)
        engine("network", "prune", "--force", timeout=60)
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(60)
    kill_group(server.pid)
    for line in processes(f"{engine.folder}{os.sep}"):
        with suppress(ProcessLookupError):
            os.kill(int(line.split()[0]), signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text("utf-8").splitlines()]
    for mount in reversed([path for path in mounts if path.startswith(f"{engine.folder}{os.sep}")]):
        subprocess.run(["umount", "--lazy", mount], check=False)
