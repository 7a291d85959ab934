"""What works on Windows, as far as a machine without Windows can tell."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from my_celery_project import config
from my_celery_project.runtime.config import read

WITHOUT_POSIX = """
import builtins, os, pkgutil, signal, sys
from importlib import import_module

PACKAGE = "my_celery_project"
MODULES = {"fcntl", "grp", "pwd", "resource", "syslog", "termios", "tty"}
FUNCTIONS = (
    "chown", "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getuid", "killpg",
    "mkfifo", "nice", "register_at_fork", "setsid", "setuid", "sysconf", "wait",
)
SIGNALS = (
    "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2",
    "alarm", "pthread_kill", "pthread_sigmask", "setitimer",
)
real_import = builtins.__import__


def import_as_on_windows(name, globals=None, *others, **named):
    importer = (globals or {}).get("__name__", "")
    if name in MODULES and importer.partition(".")[0] == PACKAGE:
        raise ModuleNotFoundError(name)
    return real_import(name, globals, *others, **named)


import celery.bin.celery  # what libraries do on Windows is not our affair
builtins.__import__ = import_as_on_windows
for name in FUNCTIONS:
    delattr(os, name)
for name in SIGNALS:
    delattr(signal, name)

app = import_module(f"{PACKAGE}.celery").app
app.loader.import_default_modules()
# What only a migration, a worker and `make dev` import.
MACHINERY = ("runtime.worker.prefork", "runtime.local.processes")
skipped = [f"{PACKAGE}.{name}" for name in ("migrations.env", *MACHINERY)]
package = sys.modules[PACKAGE]
names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")]
for name in names:
    if name not in skipped:
        import_module(name)
result = app.send_task("heartbeat.beat")
print(len(names), result.id)
"""


def test_every_module_is_imported_and_a_task_is_sent_without_what_windows_lacks(
    tmp_path: Path,
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_POSIX],
        cwd=tmp_path,
        env={**os.environ, "APP_ENV": "testing"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    modules, task_id = result.stdout.split()
    assert int(modules) > 30
    assert len(task_id) == 36


@pytest.mark.usefixtures("empty_folder")
def test_without_sockets_a_broker_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(config.ConfigurationError, match="CELERY_BROKER_URL is not set") as error:
        read(config.Development)
    assert "\n" not in str(error.value)
