"""An answer brings the answers that it requires; only contradictions are refused."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import cruft
import pytest
from cookiecutter.generate import generate_context  # type: ignore[import-untyped]
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from cookiecutter.prompt import prompt_for_config  # type: ignore[import-untyped]
from pytest_cookies.plugin import Cookies  # type: ignore[import-untyped]

from conftest import Bakery, tree
from support import repository
from test_docs import GENERATE, block
from variants import (
    TEMPLATE,
    Answers,
    Choice,
    all_variants,
    allowed,
    completed,
    load,
    needy,
    options,
    pairwise,
    presets,
    prompted,
    refused,
    variant_id,
)

Baked = Callable[[Mapping[str, Choice]], Path]

COMPLETIONS = load()["_completions"]
DEFAULTS: Answers = {name: choices[0] for name, choices in options().items()}

#: Random sets of answers to every option, and the share of them that may be refused.
SETS = 500
SEED = 12
MOST = 0.25

#: An answer of each kind that is completed: redbeat brings a Redis, Kubernetes a database and an image.
NEEDY: Answers = {
    "broker": "rabbitmq",
    "result_backend": "rpc",
    "beat": "redbeat",
    "database": "sqlite",
    "kubernetes": True,
    "docker": False,
}


def whole(answers: Answers) -> Answers:
    """Return answers to every option: the defaults, unless given."""
    return {**DEFAULTS, **answers}


def answered(answers: Answers) -> Answers:
    """Return the answers as cookiecutter completes them before it writes a file."""
    context = generate_context(str(TEMPLATE / "cookiecutter.json"), extra_context=dict(answers))
    config = prompt_for_config(context, no_input=True)
    return {name: config[name] for name in options()}


def recorded(context: Mapping[str, Choice]) -> Answers:
    """Return the answers to the options in a record of cookiecutter or cruft."""
    return {name: context[name] for name in options()}


CASES = [pytest.param(name, answers, id=f"{name}: {variant_id(answers)}") for name, answers in needy()]


# The table


@pytest.mark.parametrize("name", COMPLETIONS)
def test_a_completion_changes_an_answer_to_another_choice(name: str) -> None:
    row = COMPLETIONS[name]
    for option, choices in row["when"].items():
        assert set(choices) <= set(options()[option])
    for option, choice in row["then"].items():
        assert choice in options()[option]
        assert choice not in row["when"][option], "it would say that it changed what it did not"


def test_nothing_needs_to_be_completed_twice() -> None:
    rows = [*COMPLETIONS.values(), *load()["_refusals"].values()]
    names = [name for name in options() if any(name in row["when"] for row in rows)]
    variants = list(all_variants(*names))
    for answers in variants:
        assert completed(completed(answers)) == completed(answers), answers
    share = sum(refused(completed(answers)) for answers in variants) / len(variants)
    assert 0 < share <= MOST


def test_random_answers_are_seldom_refused(summary: Callable[[str], None]) -> None:
    """They are completed as the template does it, by Jinja, and not by the copy of it for tests."""
    choose, count, changed = random.Random(SEED), 0, 0  # noqa: S311
    for _ in range(SETS):
        given: Answers = {name: choose.choice(choices) for name, choices in options().items()}
        real = answered(given)
        assert real == completed(given), given
        count += refused(real)
        changed += real != given
    summary(f"Random sets of answers (seed {SEED}): {count} of {SETS} refused, {changed} completed")
    assert count <= MOST * SETS
    assert len(load()["_refusals"]) <= 3


# What becomes of the answers


@pytest.mark.parametrize(("name", "given"), CASES)
def test_an_answer_brings_what_it_needs(
    name: str, given: Answers, bakery: Bakery, baked: Baked, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    full = completed(whole(given))
    assert not refused(full)
    project = bakery.bake(given, tmp_path)
    message = capfd.readouterr().out
    for option, choice in COMPLETIONS[name]["then"].items():
        now, before = (str(value).lower() for value in (choice, whole(given)[option]))
        assert f"\n  {option}={now} instead of {before}, because {COMPLETIONS[name]['why']}\n" in message
    assert message.count(" instead of ") == sum(full[option] != choice for option, choice in whole(given).items())
    # The project is that of the completed answers.
    assert tree(project) == tree(baked(full))
    # Its tests are run where those of all pairs are.
    assert any(completed({**variant, **given}) == variant for variant in pairwise())


def test_the_completed_answers_are_recorded_and_replayed(
    bakery: Bakery, template_copy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = bakery.bake(NEEDY, tmp_path / "first", template_copy)
    first = capfd.readouterr().out
    assert first.count(" instead of ") == 3
    record = json.loads((bakery.home / "replay_dir" / f"{template_copy.name}.json").read_text("utf-8"))
    assert recorded(record["cookiecutter"]) == completed(whole(NEEDY))
    replay = {"replay": True, "output_dir": str(tmp_path / "again"), "config_file": str(bakery.config_file)}
    again = cookiecutter(str(template_copy), **replay)
    assert tree(Path(again)) == tree(project)


def test_answers_that_are_typed_are_completed(bakery: Bakery, baked: Baked, tmp_path: Path) -> None:
    typed = ""
    for name in prompted():
        match NEEDY.get(name):
            case bool(given):
                typed += "y\n" if given else "n\n"
            case str(given):
                typed += f"{options()[name].index(given) + 1}\n"
            case _:
                typed += "\n"
    project = bakery.bake({}, tmp_path, typed=typed)
    assert tree(project) == tree(baked(NEEDY))


def test_pytest_cookies_completes_as_cookiecutter_does(cookies: Cookies, baked: Baked) -> None:
    result = cookies.bake(extra_context=dict(NEEDY), template=str(TEMPLATE))
    assert (result.exit_code, result.exception) == (0, None)
    assert recorded(result.context) == completed(whole(NEEDY))
    assert tree(result.project_path) == tree(baked(NEEDY))


def test_cruft_records_and_keeps_the_completed_answers(
    bakery: Bakery, baked: Baked, template_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in bakery.environment.items():
        monkeypatch.setenv(variable, value)
    repository(template_copy)
    project = cruft.create(str(template_copy), tmp_path / "cruft", extra_context=dict(NEEDY))

    def answers() -> Answers:
        return recorded(json.loads((project / ".cruft.json").read_text("utf-8"))["context"]["cookiecutter"])

    def written() -> dict[str, tuple[int, bytes]]:
        theirs = (".cruft.json", ".git")
        return {path: entry for path, entry in tree(project).items() if path.split("/")[0] not in theirs}

    assert answers() == completed(whole(NEEDY))
    assert written() == tree(baked(NEEDY))
    assert cruft.update(project, refresh_private_variables=True)
    assert answers() == completed(whole(NEEDY))
    assert written() == tree(baked(NEEDY))
    # An answer that is changed later is completed as well.
    repository(project)
    later: Answers = {"beat": "none", "result_backend": "database", "database": "none"}
    assert cruft.update(project, refresh_private_variables=True, extra_context=dict(later))
    changed = completed({**completed(whole(NEEDY)), **later})
    assert changed["database"] == "postgresql"
    assert answers() == changed
    assert written() == tree(baked(changed))


def test_the_defaults_need_nothing(bakery: Bakery, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert allowed(DEFAULTS)
    bakery.bake({}, tmp_path)
    assert "completed" not in capfd.readouterr().out


# Presets

PRESETS = GENERATE.partition("<!-- preset -->")[2]


@pytest.mark.parametrize("name", presets())
def test_a_preset_leaves_only_names_to_give(name: str, bakery: Bakery, baked: Baked, tmp_path: Path) -> None:
    preset = presets()[name]
    # Of a choice that does not exist in a configuration file, cookiecutter only warns.
    for option, choice in preset.items():
        assert choice in options()[option]
    full = completed(whole(preset))
    assert full == whole(preset), "it gives all that it needs"
    assert not refused(full)
    assert full in pairwise(), "its tests run with those of all pairs"
    command = block(PRESETS, "sh").replace("-o ..", f"-o {tmp_path}").replace("django.yaml", f"{name}.yaml")
    assert f"presets/{name}.yaml" in command
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    baking = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=TEMPLATE,
        env={**os.environ, **bakery.environment, "PATH": path},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (baking.returncode, baking.stderr) == (0, "")
    assert "instead of" not in baking.stdout
    names: Answers = {"project_name": "My Shop", "author_name": "Ann Lee", "author_email": "ann@example.com"}
    assert tree(tmp_path / "my-shop") == tree(baked({**preset, **names}))
