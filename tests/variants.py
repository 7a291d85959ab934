"""What cookiecutter.json offers: options, choices, and the sets of variants that tests bake.

Nothing here lists a choice by hand, so a new one is tested without editing a test.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations, product
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

Choice = str | bool
Answers = dict[str, Choice]
Test = Callable[..., None]

#: Whether tests take all variants and the longest loads, as `nox -s full` says; by default they take few.
FULL = {"": False, "full": True}[os.environ.get("TEST_SIZE", "")]

#: The template: the root of this repository.
TEMPLATE = Path(__file__).resolve().parent.parent

#: How many variants hold every pair depends on chance: with this seed 30, with others up to 37. Look for
#: another one when options have changed.
SEED = 6

#: The folder in it that becomes the project.
PROJECT = "{{cookiecutter.project_slug}}"


def load(template: Path = TEMPLATE) -> dict[str, Any]:
    """Return the content of cookiecutter.json."""
    config: dict[str, Any] = json.loads((template / "cookiecutter.json").read_text("utf-8"))
    return config


#: The content of this template's, only to be read.
CONFIG = load()


def prompted() -> list[str]:
    """Return the names of everything that is asked, in the order of the questions."""
    return [name for name in CONFIG if not name.startswith("_")]


@cache
def options() -> dict[str, list[Choice]]:
    """Return every option with choices; the default comes first."""
    config = CONFIG
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
    for row in CONFIG["_completions"].values():
        if matches(row, answers):
            answers = {**answers, **row["then"]}
    return answers


def refused(answers: Mapping[str, Choice]) -> bool:
    """Say whether a row of `_refusals` forbids these answers, which are completed or few."""
    return any(matches(row, answers) for row in CONFIG["_refusals"].values())


def allowed(answers: Answers) -> bool:
    """Say whether a project can have these answers, which may be few: none is refused or would be completed.

    So no two sets of answers to every option make the same project.
    """
    return not refused(answers) and completed(answers) == answers


def complete(
    answers: Answers,
    benefit: Callable[[Answers], int] = lambda answers: 0,
    choices: Mapping[str, Sequence[Choice]] | None = None,
) -> Answers | None:
    """Return allowed answers to every option, or nothing if there are none with `answers`.

    Args:
        answers: Answers that must stay.
        benefit: Value of incomplete answers; of choices with the same value, the first is taken.
        choices: Options in the order in which they are answered, with their choices; by default the questions.
    """
    if not allowed(answers):
        return None
    choices = choices or options()
    missing = [name for name in choices if name not in answers]
    if not missing:
        return answers
    longer = [{**answers, missing[0]: choice} for choice in choices[missing[0]]]
    for candidate in sorted(longer, key=benefit, reverse=True):
        if found := complete(candidate, benefit, choices):
            return found
    return None


def presets() -> dict[str, Answers]:
    """Return the answers of each preset, by its name."""
    files = sorted((TEMPLATE / "presets").glob("*.yaml"))
    return {file.stem: yaml.safe_load(file.read_text("utf-8"))["default_context"] for file in files}


def needy() -> Iterator[tuple[str, Answers]]:
    """Yield each row of `_completions` with every set of answers that it completes."""
    for name, row in CONFIG["_completions"].items():
        for values in product(*row["when"].values()):
            yield name, dict(zip(row["when"], values, strict=True))


@cache
def pairwise() -> list[Answers]:
    """Return few variants that hold every allowed pair of choices, the default variant first.

    The presets are among them, and what each row of `_completions` makes of the answers that it completes.
    """
    chance = Random(SEED)  # noqa: S311

    def pairs(answers: Answers) -> set[frozenset[tuple[str, Choice]]]:
        return {frozenset(pair) for pair in combinations(answers.items(), 2)}

    default = complete({})
    assert default, "the defaults must be allowed"
    variants = [default, *(completed({**default, **preset}) for preset in presets().values())]
    covered = set().union(*map(pairs, variants))

    def new_pairs(answers: Answers) -> int:
        return len(pairs(answers) - covered)

    def shuffled() -> dict[str, list[Choice]]:
        names = chance.sample(list(options()), len(options()))
        return {name: chance.sample(options()[name], len(options()[name])) for name in names}

    def add(answers: Answers) -> None:
        found = [variant for _ in range(2) if (variant := complete(answers, new_pairs, shuffled()))]
        if found:
            best = max(found, key=new_pairs)
            variants.append({name: best[name] for name in options()})
            covered.update(pairs(best))

    for _, given in needy():
        if not any(completed({**variant, **given}) == variant for variant in variants):
            add(completed(given))
    rarest_first = sorted(combinations(options(), 2), key=lambda names: -len(list(all_variants(*names))))
    for names in rarest_first:
        for pair in all_variants(*names):
            if new_pairs(pair):
                add(pair)
    return variants


def few(variants: Iterable[Answers], turn: str = "", size: int = 1) -> list[Answers]:
    """Return few of these variants that hold every choice that any of them holds.

    Args:
        variants: Answers that differ from the defaults, or more.
        turn: Of sets that are as small, another text takes another one.
        size: How many choices they hold together wherever a variant does: 2 for every pair.
    """
    found = list(variants)
    names = {name for answers in found for name in answers}
    held = [{**{name: options()[name][0] for name in names & options().keys()}, **answers} for answers in found]
    held_together = [frozenset(map(frozenset, combinations(answers.items(), size))) for answers in held]
    order = Random(turn).sample(range(len(found)), len(found))  # noqa: S311
    missing, chosen = set().union(*held_together), list[int]()
    taken: Counter[frozenset[tuple[str, Choice]]] = Counter()

    def benefit(number: int) -> tuple[int, int]:
        groups = held_together[number]
        return len(missing & groups), -sum(taken[group] for group in groups)  # of equals, what is rare so far

    while missing:
        chosen.append(max(order, key=benefit))
        taken.update(held_together[chosen[-1]])
        missing -= held_together[chosen[-1]]
    return [found[number] for number in sorted(chosen)]


def cover(variants: Iterable[Answers], turn: str = "") -> list[Answers]:
    """Return all of these variants in the full size, and by default the few that hold every choice of theirs."""
    return list(variants) if FULL else few(variants, turn)


def each(variants: Iterable[Answers]) -> Callable[[Test], Any]:
    """Run a test with the answers of each variant, or of few by default: other ones than another test takes."""
    given = list(variants)

    def decorate(test: Test) -> Any:
        chosen = cover(given, test.__name__)
        ids = ["-".join(map(str, answers.values())) for answers in chosen]
        return pytest.mark.parametrize("answers", chosen, ids=ids)(test)

    return decorate


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
