"""The CI files of generated projects are valid, need few privileges, and each of their lines has an effect."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema  # type: ignore[import-untyped]
from jsonschema import validators
from yamllint import linter  # type: ignore[import-untyped]
from yamllint.config import YamlLintConfig  # type: ignore[import-untyped]

from variants import Answers, Choice, combined, pairwise, variant_id

Baked = Callable[[Mapping[str, Choice]], Path]

#: The files of CI, and the schema of each.
SCHEMAS = {
    ".github/workflows/ci.yml": "vendor.github-workflows",
    ".github/dependabot.yml": "vendor.dependabot",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "renovate.json": "vendor.renovate",
}

GITHUB, DEPENDABOT, GITLAB, RENOVATE = SCHEMAS

#: All that decides what is in them, and every pair of choices.
VARIANTS: dict[str, Answers] = {
    variant_id(answers): answers
    for answers in [*combined("ci", "broker", "database"), *pairwise()]
    if answers.get("ci") != "none"
}

#: A setting with a URL of a server that tests start, if no variable names one; and the kind of server.
SERVER = re.compile(r'"(\w+)": (\w+)Server\b')


@pytest.fixture(scope="module")
def baked(baked_part: Callable[..., Baked]) -> Baked:
    """Return a function that gives the files of CI, and those that it runs or serves."""
    files = (".env.example", "Dockerfile", "Makefile", "tests/conftest.py")
    return baked_part(".github", GITLAB, RENOVATE, *files)


@cache
def validator(schema: str) -> Any:
    """Return what validates a kind of file."""
    content = get_builtin_schema(schema)
    return validators.validator_for(content)(content)


def present(project: Path) -> list[str]:
    """Return the files of CI that a project has."""
    return [name for name in SCHEMAS if (project / name).exists()]


def read(path: Path) -> Any:
    """Return the content of a file; JSON is YAML."""
    return yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)


def linted(project: Path) -> Iterator[str]:
    """Yield the errors of schemas and yamllint."""
    for name in present(project):
        yield from (f"{name}: {error.message}" for error in validator(SCHEMAS[name]).iter_errors(read(project / name)))
        if not name.endswith(".json"):
            text = (project / name).read_text("utf-8")
            yield from (f"{name}: {problem}" for problem in linter.run(text, YamlLintConfig("extends: default"), name))


def jobs(project: Path) -> dict[str, dict[str, Any]]:
    """Return the jobs, with their commands as a list and their variables in one form."""
    if (project / GITHUB).exists():
        return {
            name: {
                "commands": [step["run"] for step in job["steps"] if "run" in step],
                "variables": job.get("env", {}),
                **job,
            }
            for name, job in read(project / GITHUB)["jobs"].items()
        }
    content = read(project / GITLAB)
    return {
        name: {"commands": job.get("before_script", []) + job.get("script", []), **job}
        for name, job in content.items()
        if isinstance(job, dict) and {"script", "before_script"} & set(job)
    }


def commands(project: Path) -> Iterator[str]:
    """Yield lines of scripts that would fail, and checks of the Makefile that nothing runs."""
    makefile = (project / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
    lines = [line for job in jobs(project).values() for line in job["commands"]]
    for line in lines:
        program, *words = line.split()
        is_known = {
            "make": bool(words) and targets.issuperset(words),
            "docker": (project / "Dockerfile").exists() and words[0] == "build" and words[-1] == ".",
            "pip": words[0] == "install" and words[-1] == "uv==$UV_VERSION",
        }
        if not is_known.get(program):
            yield f"{line!r} does nothing here"
    for target in ("lint", "test", "integration"):
        if f"make {target}" not in lines:
            yield f"nothing runs make {target}"
    if (project / "Dockerfile").exists() != any("docker build" in line for line in lines):
        yield "the image is not built"


def servers(project: Path) -> Iterator[str]:
    """Yield servers without which integration tests would be skipped, or fail."""
    job = jobs(project)["integration"]
    # Of settings that lead to servers of one kind, the first counts.
    found = {kind: setting for setting, kind in reversed(SERVER.findall((project / "tests/conftest.py").read_text()))}
    read_by_tests = {f"TEST_{setting.upper()}" for setting in found.values()}
    if re.search("(?m)^# DATABASE_URL=postgresql", (project / ".env.example").read_text("utf-8")):
        read_by_tests.add("TEST_DATABASE_URL")
    given: dict[str, str] = {name: url for name, url in job["variables"].items() if name.startswith("TEST_")}
    if read_by_tests != set(given):
        yield f"tests read {sorted(read_by_tests)}, and CI sets {sorted(given)}"
    services = job["services"]
    images = {
        service["image"] if isinstance(services, dict) else service["name"]
        for service in (services.values() if isinstance(services, dict) else services)
    }
    hosts = {re.sub(r".*[@/]([\w.]+):(\d+).*", r"\1", url) for url in given.values()}
    if isinstance(services, dict):  # on GitHub all are on this machine
        ports = {port for service in services.values() for port in service["ports"]}
        wanted = {re.sub(r".*:(\d+).*", r"\1:\1", url) for url in given.values()}
        if hosts != {"127.0.0.1"} or ports != wanted:
            yield f"services have {ports}, and URLs name {wanted}"
        if not all("--health-cmd" in service["options"] for service in services.values()):
            yield "tests do not wait for their servers"
    elif hosts != {image.partition(":")[0] for image in images}:
        yield f"services are {images}, and URLs name {hosts}"
    if not all(re.search(r":\d+$", image) for image in images):
        yield "the version of a server is open"


def privileges(project: Path) -> Iterator[str]:
    """Yield permissions of a GitHub workflow that it does not need, and the findings of zizmor."""
    if not (project / GITHUB).exists():
        return
    content = read(project / GITHUB)
    if content["permissions"] != {"contents": "read"}:
        yield "a token may do more than read"
    if "concurrency" not in content:
        yield "old runs go on"
    if "secrets" in (project / GITHUB).read_text("utf-8"):
        yield "secrets are needed"
    for name, job in content["jobs"].items():
        if "timeout-minutes" not in job or "permissions" in job:
            yield f"{name} has no timeout, or more rights"
        for step in job["steps"]:
            if "uses" in step and not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"]):
                yield f"{step['uses']} is not pinned"
            if (
                step.get("uses", "").startswith("actions/checkout@")
                and step["with"]["persist-credentials"] is not False
            ):
                yield "a token stays on the disk"
    for line in re.findall(r"uses: .*", (project / GITHUB).read_text("utf-8")):
        if not re.search(r"  # v\d+\.\d+\.\d+$", line):
            yield f"{line!r} does not tell its version"


def updates(project: Path) -> Iterator[str]:
    """Yield dependencies that would never be updated, and updates for files that do not exist."""
    if not (project / DEPENDABOT).exists():
        return
    names = {update["package-ecosystem"] for update in read(project / DEPENDABOT)["updates"]}
    wanted = {"uv", "github-actions", *(["docker", "docker-compose"] if (project / "Dockerfile").exists() else [])}
    if names != wanted:
        yield f"Dependabot updates {sorted(names)} instead of {sorted(wanted)}"


def problems(project: Path) -> list[str]:
    """Return all that is wrong with the files of CI; those that do not fit their schema are not looked into."""
    return [*linted(project)] or [
        *commands(project),
        *servers(project),
        *privileges(project),
        *updates(project),
    ]


def zizmor(*folders: Path) -> subprocess.CompletedProcess[str]:
    """Run zizmor on folders that have a `.github` each."""
    program = Path(sys.executable).with_name("zizmor")
    return subprocess.run(
        [program, "--offline", "--no-progress", "--min-severity", "medium", *folders],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


@pytest.mark.parametrize("variant", VARIANTS, ids=VARIANTS)
def test_ci_is_right(variant: str, baked: Baked) -> None:
    project, on_gitlab = baked(VARIANTS[variant]), VARIANTS[variant].get("ci") == "gitlab"
    assert present(project) == ([GITLAB, RENOVATE] if on_gitlab else [GITHUB, DEPENDABOT])
    assert problems(project) == []


def test_zizmor_finds_nothing_in_any_variant(baked: Baked, tmp_path: Path) -> None:
    different: dict[str, Path] = {}
    for answers in VARIANTS.values():
        if answers.get("ci", "github") == "github":
            project = baked(answers)
            different["".join((project / name).read_text("utf-8") for name in (GITHUB, DEPENDABOT))] = project
    for number, project in enumerate(different.values()):
        shutil.copytree(project / ".github", tmp_path / str(number) / ".github")
    result = zizmor(*tmp_path.iterdir())
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr.count("completed") >= 2 * len(different), "zizmor has not looked at all of them"


#: What breaks a file: the file, a change, and what is said.
BROKEN: dict[str, tuple[str, str, str, str]] = {
    "workflow": (GITHUB, "timeout-minutes: 15", "timeout-minute: 15", "timeout-minute"),
    "duplicate": (GITHUB, "name: CI\n", "name: CI\nname: CI\n", "duplication of key"),
    "target": (GITHUB, "run: make lint", "run: make lint types", "'make lint types' does nothing here"),
    "not run": (GITHUB, "run: make test", "run: make lint", "nothing runs make test"),
    "skipped": (GITHUB, "TEST_RESULT_BACKEND:", "TEST_BACKEND:", "and CI sets"),
    "service": (GITHUB, 'ports: ["5672:5672"]', 'ports: ["5673:5672"]', "and URLs name"),
    "rights": (GITHUB, "contents: read", "contents: write", "a token may do more than read"),
    "credentials": (GITHUB, "persist-credentials: false", "persist-credentials: true", "a token stays on the disk"),
    "pin": (GITHUB, "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "is not pinned"),
    "ecosystem": (DEPENDABOT, "package-ecosystem: uv", "package-ecosystem: poetry", "'poetry' is not one of"),
    "not updated": (DEPENDABOT, "package-ecosystem: uv", "package-ecosystem: pip", "Dependabot updates"),
    "gitlab": (GITLAB, "build-image:", "image:", "is not valid under any of the given schemas"),
    "gitlab service": (GITLAB, "@rabbitmq:", "@broker:", "and URLs name"),
    "gitlab version": (GITLAB, "rabbitmq:4", "rabbitmq:latest", "the version of a server is open"),
    "renovate": (RENOVATE, '"enabled": true', '"enabled": "yes"', "is not of type 'boolean'"),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_each_check_finds_a_broken_file(broken: str, baked: Baked, tmp_path: Path) -> None:
    path, old, new, sentence = BROKEN[broken]
    ci = "github" if path in (GITHUB, DEPENDABOT) else "gitlab"
    project = shutil.copytree(baked({"ci": ci, "broker": "rabbitmq"}), tmp_path / "project")
    text = (project / path).read_text("utf-8")
    assert old in text
    (project / path).write_text(text.replace(old, new), "utf-8")
    found = problems(project)
    assert any(sentence in problem for problem in found), found


@pytest.mark.parametrize(
    ("path", "old", "new", "audit"),
    [
        (GITHUB, "@3d3c42e5aac5ba805825da76410c181273ba90b1", "@v7", "unpinned-uses"),
        (GITHUB, "run: make lint", "run: echo ${{ github.head_ref }}", "template-injection"),
        (DEPENDABOT, "    cooldown:\n      default-days: 7\n", "", "dependabot-cooldown"),
    ],
)
def test_zizmor_finds_a_broken_file(path: str, old: str, new: str, audit: str, baked: Baked, tmp_path: Path) -> None:
    shutil.copytree(baked({}) / ".github", tmp_path / ".github")
    text = (tmp_path / path).read_text("utf-8")
    assert old in text
    (tmp_path / path).write_text(text.replace(old, new), "utf-8")
    result = zizmor(tmp_path)
    assert result.returncode != 0
    assert audit in result.stdout + result.stderr
