"""What cookiecutter.json offers: options, choices, and the sets of variants that tests bake.

Nothing here lists a choice by hand, so a new one is tested without editing a test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, product
from pathlib import Path
from typing import Any

Choice = str | bool
Answers = dict[str, Choice]

#: The template: the root of this repository.
TEMPLATE = Path(__file__).resolve().parent.parent

#: The folder in it that becomes the project.
PROJECT = "{{cookiecutter.project_slug}}"


def load(template: Path = TEMPLATE) -> dict[str, Any]:
    """Return the content of cookiecutter.json."""
    config: dict[str, Any] = json.loads((template / "cookiecutter.json").read_text("utf-8"))
    return config


def prompted() -> list[str]:
    """Return the names of everything that is asked, in the order of the questions."""
    return [name for name in load() if not name.startswith("_")]


def options() -> dict[str, list[Choice]]:
    """Return every option with choices; the default comes first."""
    config = load()
    choices: dict[str, list[Choice]] = {}
    for name in prompted():
        if isinstance(config[name], list):
            choices[name] = config[name]
        elif isinstance(config[name], bool):
            choices[name] = [config[name], not config[name]]
    return choices


def free_texts() -> list[str]:
    """Return the questions that take any text: their default is a text that derives from nothing.

    The e-mail address is none of them; it has rules of its own.
    """
    config = load()
    return [
        name for name in prompted() if isinstance(config[name], str) and "{" not in config[name] and "email" not in name
    ]


def all_variants(*names: str) -> Iterator[Answers]:
    """Yield every combination of the choices of these options, or of all options."""
    choices = options()
    chosen = names or tuple(choices)
    for values in product(*(choices[name] for name in chosen)):
        yield dict(zip(chosen, values, strict=True))


def matches(row: Mapping[str, Any], answers: Mapping[str, Choice]) -> bool:
    """Say whether all conditions of a row of a table hold."""
    return all(answers.get(name) in values for name, values in row["when"].items())


def completed(answers: Answers) -> Answers:
    """Return answers with what they need, by `_completions`: those that a project has."""
    for row in load()["_completions"].values():
        if matches(row, answers):
            answers = {**answers, **row["then"]}
    return answers


def refused(answers: Mapping[str, Choice]) -> bool:
    """Say whether a row of `_refusals` forbids these answers, which are completed or few."""
    return any(matches(row, answers) for row in load()["_refusals"].values())


def allowed(answers: Answers) -> bool:
    """Say whether a project can have these answers, which may be few: none is refused or would be completed.

    So no two sets of answers to every option make the same project.
    """
    return not refused(answers) and completed(answers) == answers


def complete(answers: Answers, benefit: Callable[[Answers], int] = lambda answers: 0) -> Answers | None:
    """Return allowed answers to every option, or nothing if there are none with `answers`.

    Args:
        answers: Answers that must stay.
        benefit: Value of incomplete answers; of choices with the same value, the first is taken.
    """
    if not allowed(answers):
        return None
    missing = [name for name in options() if name not in answers]
    if not missing:
        return answers
    longer = [{**answers, missing[0]: choice} for choice in options()[missing[0]]]
    for candidate in sorted(longer, key=benefit, reverse=True):
        if found := complete(candidate, benefit):
            return found
    return None


def pairwise() -> list[Answers]:
    """Return few variants that hold every allowed pair of choices, the default variant first.

    They also hold what each row of `_completions` makes of the answers that it completes.
    """

    def pairs(answers: Answers) -> set[frozenset[tuple[str, Choice]]]:
        return {frozenset(pair) for pair in combinations(answers.items(), 2)}

    default = complete({})
    assert default, "the defaults must be allowed"
    variants = [default]
    covered = pairs(default)

    def new_pairs(answers: Answers) -> int:
        return len(pairs(answers) - covered)

    for row in load()["_completions"].values():
        for values in product(*row["when"].values()):
            needy = dict(zip(row["when"], values, strict=True))
            variant = complete(completed(needy), new_pairs)
            assert variant, f"what is completed must be allowed: {needy}"
            if variant not in variants:
                variants.append(variant)
                covered |= pairs(variant)
    for names in combinations(options(), 2):
        for pair in all_variants(*names):
            if new_pairs(pair) and (variant := complete(pair, new_pairs)):
                variants.append(variant)
                covered |= pairs(variant)
    return variants


def combined(*names: str) -> Iterator[Answers]:
    """Yield every allowed combination of the choices of some options, with what it needs of others."""
    defaults = {name: choices[0] for name, choices in options().items()}
    for given in all_variants(*names):
        if answers := complete(given):
            yield {name: choice for name, choice in answers.items() if name in names or choice != defaults[name]}


def variant_id(answers: Mapping[str, Choice]) -> str:
    """Return a short name for a test: the answers that are no defaults."""
    choices = options()
    given = {name: choice for name, choice in answers.items() if choice not in choices.get(name, [])[:1]}
    return ",".join(f"{name}={choice}" for name, choice in given.items()) or "default"
