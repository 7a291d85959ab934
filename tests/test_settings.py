"""A wrong setting ends every kind of process of a project with one line, without a traceback or a secret."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Installed
from servers import PATIENCE, Project, free_port
from variants import Answers, each, pairwise

HIDDEN = "s3cr3t"

#: Answers, and the command of each kind of process: a line of the Procfile, or what a person types.
ENTRIES: dict[str, tuple[Answers, str]] = {
    "worker": ({}, "general"),
    "beat": ({}, "beat"),
    "own command": ({}, "celery -A PACKAGE dead-letters list"),
    "django web": ({"framework": "django"}, "web"),
    "django worker": ({"framework": "django"}, "general"),
    "manage.py": ({"framework": "django"}, "python FOLDER/manage.py check"),
    "fastapi": ({"framework": "fastapi"}, "web"),
    "flask": ({"framework": "flask"}, "web"),
}

WRONG = {
    "development": {"CELERY_BROKER_URL": f"amqp://app:{HIDDEN}@host/x"},
    "production": {"CELERY_BROKER_URL": f"redis://:p#{HIDDEN}@host:6379/0"},
}


def refusal(project: Project, line: str, cwd: Path, **variables: str) -> str:
    """Run a command that must end by itself and return the one line about a wrong setting.

    A web server writes lines of its own around it, and each of its processes may tell.
    """
    line = project.lines.get(line, line)
    line = line.replace("PACKAGE", project.package).replace("FOLDER", str(project.folder))
    inherited = {name: value for name, value in project.variables(cwd).items() if name != "APP_ENV"}
    result = subprocess.run(
        ["/bin/sh", "-c", f"exec {line}"],
        cwd=cwd,
        env={**inherited, "WEB_PORT": str(free_port()), "PYTHONWARNINGS": "ignore", **variables},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode != 0, result.stdout
    output = f"{result.stdout}{result.stderr}"
    assert "Traceback" not in output
    assert HIDDEN not in output
    lines = {line for line in result.stderr.splitlines() if line.startswith("Configuration error: ")}
    assert len(lines) == 1, output
    if "gunicorn" not in line:
        assert result.stderr.splitlines() == [*lines], output
    return lines.pop()


@pytest.mark.parametrize("environment", WRONG)
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_wrong_setting_ends_every_kind_of_process(
    entry: str, environment: str, installed: Installed, tmp_path: Path
) -> None:
    answers, line = ENTRIES[entry]
    named = {} if environment == "development" else {"APP_ENV": environment}
    sentence = refusal(installed(answers), line, tmp_path, **named, **WRONG[environment])
    assert "CELERY_BROKER_URL is wrong: " in sentence


def test_a_worker_reads_the_settings_of_its_tasks_before_it_starts(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("APP_SMTP_PORT=many\n", "utf-8")
    (tmp_path / ".celery").mkdir()
    project = installed({})
    broker = {"CELERY_BROKER_URL": f"redis://127.0.0.1:{free_port()}/0"}
    results = {"CELERY_RESULT_BACKEND": f"redis://127.0.0.1:{free_port()}/1"}
    assert "APP_SMTP_PORT='many' is wrong" in refusal(project, "general", tmp_path, **broker, **results)


def test_a_beat_without_the_folder_of_its_file_does_not_start(installed: Installed, tmp_path: Path) -> None:
    urls = {name: f"redis://127.0.0.1:{free_port()}/0" for name in ("CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")}
    place = {"CELERY_BEAT_SCHEDULE_FILENAME": str(tmp_path / "missing" / "schedule")}
    sentence = refusal(installed({}), "beat", tmp_path, **urls, **place)
    assert "its folder does not exist" in sentence
    assert "CELERY_BEAT_SCHEDULE_FILENAME" in sentence


def test_an_env_file_with_a_line_that_is_none_ends_a_worker(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"APP_ENV=development\nCELERY_BROKER_URL: redis://:{HIDDEN}@host\n", "utf-8")
    assert "line 2 of .env does not have the form NAME=value" in refusal(installed({}), "general", tmp_path)


#: Variables of which .env.example shows an example, or a default of another file, in place of the default in force.
SHOWN_OTHERWISE = re.compile(
    "_URL$|_BACKEND$|_KWARGS$|_ANNOTATIONS$|_RETRY_POLICY$|_FILENAME$|_FILE$|^(?!APP_|CELERY_|DJANGO_)"
)

#: Prints every setting that is in force.
SETTINGS = """
import json
from {package} import config, settings

print(json.dumps([config.load().model_dump(), settings.settings().model_dump()], default=str))
"""


@each(pairwise())
def test_what_the_example_of_the_environment_calls_defaults_are_those_in_force(
    answers: Answers, installed: Installed, tmp_path: Path
) -> None:
    project = installed(answers)
    example = (project.folder / ".env.example").read_text("utf-8")
    shown = dict(re.findall(r"(?m)^# ([A-Z][A-Z0-9_]*)=(.*)$", example))
    defaults = {name: value for name, value in shown.items() if not SHOWN_OTHERWISE.search(name)}
    assert len(defaults) > 20

    def in_force(**variables: str) -> dict[str, Any]:
        code = SETTINGS.format(package=project.package)
        command = [str(project.environment / "bin" / "python"), "-c", code]
        given = {**project.variables(tmp_path), **variables}
        done = subprocess.run(command, cwd=tmp_path, env=given, capture_output=True, encoding="utf-8", check=False)
        assert done.returncode == 0, done.stderr
        return dict(flat(json.loads(done.stdout)))

    # A default of None is one that depends on the pool of a worker.
    known = {name: value for name, value in in_force().items() if value is not None}
    assert known.items() <= in_force(**defaults).items()
    assert not known.items() <= in_force(**defaults | {"CELERY_TASK_DEFAULT_PRIORITY": "1"}).items()


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the parts of nested values, with the path of each."""
    if isinstance(value, dict | list) and value:
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flat(part, f"{name}/{key}")
    else:
        yield name, str(value) if isinstance(value, dict | list) else value
