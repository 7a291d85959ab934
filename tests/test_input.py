"""Texts arrive unchanged in every format; names and texts that cannot work leave one line."""

from __future__ import annotations

import email
import email.policy
import re
import tomllib
from collections.abc import Callable
from email.headerregistry import Address, UniqueAddressHeader
from pathlib import Path
from typing import Any

import hatchling.build
import pytest
from conftest import Bakery, files, tree, unparsable
from cookiecutter.exceptions import (  # type: ignore[import-untyped]
    UndefinedVariableInTemplate,
)
from jinja2 import TemplateSyntaxError
from packaging.requirements import Requirement
from variants import free_texts, load, pairwise, prompted

Refuse = Callable[..., str]
Tally = Callable[[str, int, int], None]

#: Any printable text is legal. These have broken other templates, or might.
HOSTILE = {
    "double quotes": 'The "best" one',
    "single quotes": "It's 'ours'",
    "starts with a quote": '"quoted"',
    "triple double quotes": 'a """ b"""',
    "triple single quotes": "a ''' b'''",
    "many quotes": """ '"'"'" """.strip(),
    "backslash": r"C:\new\table",
    "backslash at the end": "ends in \\",
    "backslash and quote": r"a \" b \' c",
    "escapes": r"\n \x41 \u0041 \N{DIGIT ONE}",
    "percent": "100 % of it",
    "percent s": "%s %d %% %",
    "percent name": "%(asctime)s %(x)s",
    "systemd specifiers": "%n %i %H",
    "variable": "$HOME $$",
    "braced variable": "${HOME} ${x:-y}",
    "command": "`id` $(id)",
    "hash": "# not a comment # nor this",
    "colon": "key: value",
    "colon at the end": "key:",
    "single braces": "{x} {0} {} }{",
    "closing delimiters": "}} %} #}",
    "html": "<script>alert('1')</script>",
    "entity": "Tom &amp; Jerry &lt;3 & more",
    "html comment": "<!-- hidden --> -->",
    "emoji": "ready 🚀",
    "joined emoji": "team 👩‍👩‍👧‍👦 🏳️‍🌈",
    "skin tone": "thumbs 👍🏽",
    "Arabic": "مشروع المهام",
    "Hebrew": "פרויקט (משימות)",
    "CJK": "任務佇列 タスク 작업",
    "combining accents": "Cafe\u0301 Zoe\u0308",
    "composed accents": "Çağrı Łukasz Straße Ærø",
    "no-break space": "10\u00a0000 tasks\u202fa day",
    "invisible": "zero\u200bwidth soft\u00adhyphen mark\ufeffed",
    "outside the basic plane": "𝕌𝕟𝕚𝕔𝕠𝕕𝕖 𠮷野家",
    "300 characters": "long text " * 29 + "of 300 now",
    "leading dash": "- item",
    "option": "--help",
    "digits": "007",
    "float": "1.10",
    "date": "2026-01-01",
    "yes": "yes",
    "no": "no",
    "null": "null",
    "tilde": "~",
    "equals": "a=b == c",
    "comma and semicolon": "a, b; c",
    "link": "[text](https://example.com/?a=b&c=d)",
    "alias": "*alias",
    "anchor": "&anchor",
    "at": "@decorator",
    "exclamation": "!tag !important",
    "pipe": "| block",
    "greater than": "> quote",
    "question": "? key",
    "brackets": "[section]",
    "table": "[[table]]",
    "ends in a comma": "value,",
    "Markdown": "**bold** _it_ __all__ ***",
    "path": "../../etc/passwd",
    "two spaces": "a  b",
}

FIELDS = free_texts()
TEXTS = list(HOSTILE.values())


def rotated(index: int) -> dict[str, str]:
    """Return a hostile text for every field, so that in all rotations each field has each text."""
    return {
        field: TEXTS[(index + step * 7) % len(TEXTS)] for step, field in enumerate(FIELDS)
    }


def metadata(project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the metadata that the build backend of a project makes, parsed."""
    monkeypatch.chdir(project)
    name = hatchling.build.prepare_metadata_for_build_wheel(str(folder))
    text = (folder / name / "METADATA").read_text("utf-8")
    # The policy would decode and fold headers; the metadata is plain UTF-8.
    return email.message_from_string(text, policy=email.policy.compat32)


def test_hostile_texts_are_many_and_reach_every_field() -> None:
    assert len(set(TEXTS)) == len(HOSTILE) >= 25
    assert len(FIELDS) == 3
    for field in FIELDS:
        assert {rotated(index)[field] for index in range(len(TEXTS))} == set(TEXTS)


@pytest.mark.parametrize("index", range(len(HOSTILE)), ids=HOSTILE)
def test_a_hostile_text_arrives_unchanged(
    index: int, bakery: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    given = rotated(index)
    project = bakery.bake({**given, "project_slug": "sample"}, tmp_path / "out")
    broken = unparsable(project)
    tally("hostile texts: files that do not parse", len(broken), len(files(project)))
    assert not broken, "\n".join(broken)

    readme = (project / "README.md").read_text("utf-8")
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    built = metadata(project, tmp_path, monkeypatch)
    (author,) = UniqueAddress.parse(built["Author-email"])
    arrived = [
        ("project_name", "README.md", readme.split("\n")[0].removeprefix("# ")),
        ("description", "README.md", given["description"] * (given["description"] in readme)),
        ("description", "pyproject.toml", declared["description"]),
        ("description", "metadata", built["Summary"]),
        ("author_name", "pyproject.toml", declared["authors"][0]["name"]),
        ("author_name", "metadata", author.display_name),
        ("author_name", "LICENSE", given["author_name"] * in_license(project, given)),
    ]
    differ = [(*place, given[place[0]]) for place in arrived if place[2] != given[place[0]]]
    tally("hostile texts: values that differ", len(differ), len(arrived))
    assert not differ
