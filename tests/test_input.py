"""Texts arrive unchanged in every file format; names and texts that cannot work are refused in one line."""

from __future__ import annotations

import email
import email.utils
import re
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hatchling.build
import pytest
from cookiecutter.exceptions import (  # type: ignore[import-untyped]
    UndefinedVariableInTemplate,
)
from jinja2 import TemplateSyntaxError
from packaging.requirements import Requirement

from conftest import Bakery, files, tree, unparsable
from variants import Answers, free_texts, load, pairwise, prompted

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
    "composed accents": "Çağlar Łukasz Straße Ærø",
    "no-break space": "10\u00a0000 tasks\u202fa day",
    "invisible": "zero\u200bwidth soft\u00adhyphen mark\ufeffed",
    "outside the basic plane": "\U0001d54c\U0001d55f\U0001d55a 𠮷野家",
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
    return {field: TEXTS[(index + step * 7) % len(TEXTS)] for step, field in enumerate(FIELDS)}


@dataclass(frozen=True)
class Metadata:
    """What the build backend of a project says about it."""

    name: str
    summary: str
    author: str
    author_email: str


def build_metadata(project: Path, monkeypatch: pytest.MonkeyPatch) -> Metadata:
    """Build the metadata of a project, and read it back."""
    monkeypatch.chdir(project)
    folder = project.parent
    name = hatchling.build.prepare_metadata_for_build_wheel(str(folder))
    text = (folder / name / "METADATA").read_text("utf-8")
    headers = email.message_from_string(text)
    found = re.fullmatch(r"(.*) <(.*)>", headers["Author-email"])
    assert found
    author = email.utils.unquote(found[1])
    return Metadata(headers["Name"], headers["Summary"], author, found[2])


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

    name, description, author = given["project_name"], given["description"], given["author_name"]
    readme = (project / "README.md").read_text("utf-8").split("\n")
    license_text = (project / "LICENSE").read_text("utf-8").split("\n")
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    built = build_metadata(project, monkeypatch)
    arrived = {
        "project_name in README.md": readme[0] == f"# {name}",
        "description in README.md": description in readme,
        "author_name in LICENSE": f"Copyright (c) {author}" in license_text,
        "description in pyproject.toml": declared["description"] == description,
        "author_name in pyproject.toml": declared["authors"][0]["name"] == author,
        "description in the metadata": built.summary == description,
        "author_name in the metadata": built.author == author,
    }
    differ = [place for place, same in arrived.items() if not same]
    tally("hostile texts: values that differ", len(differ), len(arrived))
    assert not differ, given


@pytest.mark.parametrize("text", TEXTS, ids=HOSTILE)
def test_a_hostile_name_typed_at_the_prompt_gives_a_usable_slug(text: str, bakery: Bakery, tmp_path: Path) -> None:
    typed = [text] + [""] * (len(prompted()) - 1)
    project = bakery.bake({}, tmp_path, typed="\n".join(typed) + "\n")
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", project.name)
    assert len(project.name) <= 64
    readme = (project / "README.md").read_text("utf-8")
    assert readme.startswith(f"# {text}\n")


@pytest.mark.parametrize("text", ["Class", "Tests", "Celery", "JSON!", "for", "Type", "nul"])
def test_a_slug_made_from_a_name_that_cannot_be_one_is_refused(text: str, refuse: Refuse) -> None:
    assert f"project_slug '{text.lower().strip('!')}' " in refuse({"project_name": text})


# E-mail addresses

ADDRESSES = [
    "me@example.com",
    "first.last+celery@mail.example.co.uk",
    "o'neil@example.com",
    '"a b"@example.com',
    '"a@b"@example.com',
    r'"a \\ \" b"@example.com',
    "{x}=/?#$%&*!^`|~-_@example.com",
    "me@exämple.de",
    "me@उदाहरण.भारत",
    "me@xn--exmple-cua.de",
    "me@1-2.example",
    "me@example.museum",
]

NO_ADDRESSES = [
    "",
    " ",
    "x",
    "@x.y",
    "a@",
    "a@b",
    "a@b..c",
    "a@.b.c",
    "a@b.c.",
    "a@-b.com",
    "a@b-.com",
    "a@b_c.com",
    "a@b.c@d.e",
    "a b@c.d",
    "a @b.co",
    "a@ b.co",
    " a@b.co",
    "a..b@c.de",
    ".a@c.de",
    "a.@c.de",
    "a(comment)@b.co",
    "a@[127.0.0.1]",
    "a,b@c.de",
    "a@b.co, c@d.co",
    '"a"b@c.de',
    '"a@c.de',
    '""@c.de',
    "é@example.com",
    "me@" + "ä" * 64 + ".de",
    "me@" + "a" * 64 + ".de",
    "me@" + "a.de" * 70,
    "Me <a@b.co>",
    "<a@b.co>",
    "mailto:a@b.co",
    "a@b.co\n",
    "a@b.co\nb@c.de",
    "a@b\t.co",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_arrives_unchanged(
    address: str, bakery: Bakery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = bakery.bake({"author_email": address}, tmp_path)
    assert not unparsable(project)
    declared = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    assert declared["authors"] == [{"name": load()["author_name"], "email": address}]
    assert build_metadata(project, monkeypatch).author_email == address


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_what_is_no_address_is_refused(address: str, refuse: Refuse) -> None:
    line = refuse({"author_email": address})
    assert line.startswith("celery-template: author_email ")
    assert repr(address) in line or "is empty" in line


# Texts that no format can hold, or that a later update would render

CONTROLS = {
    "newline": "\n",
    "carriage return": "\r",
    "tab": "\t",
    "null": "\x00",
    "bell": "\x07",
    "escape": "\x1b",
    "delete": "\x7f",
    "next line": "\x85",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "surrogate": "\udcff",
    "no character": "\ufffe",
    "no character either": "\U0001ffff",
}

#: The parts between which they stand: in the middle, at the start, at the end.
PLACES = [("a", "b"), ("", "b"), ("a", "")]

in_each_text = pytest.mark.parametrize("field", [*FIELDS, "author_email"])


def typed_for(field: str, text: str) -> str:
    """Return what is typed to answer one question so, and all others with the default."""
    return "".join(f"{text if name == field else ''}\n" for name in prompted())


@in_each_text
@pytest.mark.parametrize("control", CONTROLS.values(), ids=CONTROLS)
def test_a_control_character_is_refused(control: str, field: str, refuse: Refuse) -> None:
    for before, after in PLACES:
        text = before + control + after
        line = refuse({field: text})
        assert line.startswith(f"celery-template: {field} {text!r} contains the control character")


@in_each_text
@pytest.mark.parametrize("control", [text for text in CONTROLS.values() if text not in "\r\n"], ids=repr)
def test_a_control_character_typed_at_the_prompt_is_refused(control: str, field: str, refuse: Refuse) -> None:
    line = refuse({}, typed=typed_for(field, f"a{control}b"))
    assert line.startswith(f"celery-template: {field} {f'a{control}b'!r} contains the control")


@in_each_text
@pytest.mark.parametrize("text", ["a {{ 1 }} b", "{% if 1 %}x{% endif %}", "x{# note #}"])
def test_jinja_is_refused(text: str, field: str, refuse: Refuse) -> None:
    """Passed as an argument it is rendered before a hook runs; typed at the prompt it is not."""
    for line in (refuse({field: text}), refuse({}, typed=typed_for(field, text))):
        assert line.startswith(f"celery-template: {field} {text!r} contains '{{")


@in_each_text
@pytest.mark.parametrize("text", ["{{ x", "{% x", "{# x", "{{ x }}", "{% x %}", "{{"])
def test_broken_jinja_is_refused(text: str, field: str, refuse: Refuse, bakery: Bakery, tmp_path: Path) -> None:
    """Passed as an argument, cookiecutter itself refuses it."""
    assert repr(text) in refuse({}, typed=typed_for(field, text))
    with pytest.raises((TemplateSyntaxError, UndefinedVariableInTemplate)):
        bakery.bake({field: text}, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@in_each_text
@pytest.mark.parametrize("text", ["", " ", "\u00a0\u3000", " x", "x "], ids=repr)
def test_a_text_that_is_blank_or_has_blanks_around_it_is_refused(text: str, field: str, refuse: Refuse) -> None:
    assert f"{field} {text!r} is empty or has spaces at its ends" in refuse({field: text})


# Names

RULES = {
    "is not allowed: start with a lower-case letter and use only lower-case ASCII letters": [
        "",
        " ",
        "my app",
        "MyApp",
        "MYAPP",
        "myApp",
        "prôjet",
        "\u0430pp",  # Cyrillic
        "\uff41pp",  # full width
        "proj\u200bet",
        "アプリ",
        "1app",
        "007",
        "-app",
        "app-",
        "_app",
        "app_",
        "__app__",
        "my--app",
        "my__app",
        "my-_app",
        "my.app",
        ".app",
        ".",
        "..",
        "../x",
        "x/../../y",
        "a/b",
        "a\\b",
        "C:x",
        "~",
        "~/x",
        "$x",
        "$(id)",
        "a;b",
        "a&b",
        "a'b",
        'a"b',
        "a*",
        "{x}",
        "a%sb",
        "--help",
        "app\n",
        "a\nb",
        "app\x00",
        "app\udcff",
    ],
    "characters: use at most 64": ["a" * 65, "a" * 300],
    "is a Python keyword": ["class", "for", "import", "match", "case"],
    "would hide a standard library module": ["json", "email", "asyncio", "queue", "types", "site"],
    "would hide a dependency or is a reserved name": [
        "celery",
        "kombu",
        "redis",
        "django",
        "flask",
        "fastapi",
        "pytest",
        "config",
        "docs",
        "src",
        "test",
        "tests",
        "con",
        "nul",
        "com1",
    ],
    # Keywords and modules of some of the supported versions of Python only.
    "is a Python keyword|would hide": ["type", "distutils", "imp", "compression"],
}
BAD_NAMES = [(name, rule) for rule, names in RULES.items() for name in names]


@pytest.mark.parametrize("option", ["project_slug", "package_name"])
@pytest.mark.parametrize(("name", "rule"), BAD_NAMES, ids=[repr(name[:20]) for name, _ in BAD_NAMES])
def test_a_bad_name_is_refused(name: str, rule: str, option: str, refuse: Refuse, tally: Tally) -> None:
    """The line names the option, the value as given, and the rule."""
    good = {"project_slug": "good", "package_name": "good"}
    tally("bad names accepted", 1, 1)
    line = refuse({**good, option: name})
    tally("bad names accepted", -1, 0)
    assert re.match(rf"celery-template: {option} {re.escape(repr(name))} .*({rule})", line)


def test_a_package_name_has_no_dash(refuse: Refuse) -> None:
    line = refuse({"package_name": "my-app"})
    assert line.startswith("celery-template: package_name 'my-app' is not allowed: ")
    assert line.endswith("single underscores")


def test_no_app_of_a_django_project_has_the_name_of_its_package(
    refuse: Refuse, bakery: Bakery, baked: Callable[[Answers], Path], tmp_path: Path
) -> None:
    source = baked({"framework": "django", "examples": "all"}) / "src"
    labels = {
        match for path in source.rglob("apps.py") for match in re.findall('label = "(.+)"', path.read_text("utf-8"))
    }
    assert labels == set(load()["_django_apps"])
    for name in labels:
        line = refuse({"framework": "django", "package_name": name})
        assert line == (
            f"celery-template: package_name {name!r} is the name of an app of every Django project: choose another name"
        )
        assert bakery.bake({"framework": "flask", "package_name": name}, tmp_path / name).is_dir()
    assert bakery.bake({"framework": "django", "package_name": "shop"}, tmp_path / "shop").is_dir()


def test_an_absolute_path_writes_nothing_there(refuse: Refuse, tmp_path: Path) -> None:
    name = str(tmp_path / "elsewhere" / "x")
    for option in ("project_slug", "package_name"):
        line = refuse({"project_slug": "good", "package_name": "good", option: name})
        assert line.startswith(f"celery-template: {option} {name!r} ")
        assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["a", "a1", "myapp", "my-app", "my_app", "x2-y3_z4", "a" * 64])
def test_a_good_name_is_accepted(name: str, bakery: Bakery, tmp_path: Path) -> None:
    """The default package name follows from the slug."""
    project = bakery.bake({"project_slug": name}, tmp_path)
    assert project == tmp_path / name
    assert [path.name for path in (project / "src").iterdir()] == [name.replace("-", "_")]


def test_a_project_cannot_be_named_like_what_it_depends_on(
    baked: Callable[[Answers], Path],
) -> None:
    """Refused as a slug, which pip would confuse, and as a package, which would hide the other one."""
    requirements: list[str] = []
    for answers in pairwise():
        declared = tomllib.loads((baked(answers) / "pyproject.toml").read_text("utf-8"))
        requirements += declared["build-system"]["requires"] + declared["project"]["dependencies"]
        for group in declared["dependency-groups"].values():
            requirements += [entry for entry in group if isinstance(entry, str)]
    names = {re.sub(r"[-_.]+", "_", Requirement(text).name.lower()) for text in requirements}
    assert "celery" in names
    assert not names - {*load()["_reserved_names"], *sys.stdlib_module_names}


# The real command line


@pytest.mark.parametrize(
    ("answers", "beginning"),
    [
        ({"project_slug": "../x"}, "project_slug '../x' is not allowed: "),
        ({"package_name": "celery"}, "package_name 'celery' would hide "),
        ({"author_email": "x"}, "author_email 'x' is not a valid e-mail address: "),
        ({"description": "a\x1bb"}, "description 'a\\x1bb' contains the control character "),
        ({"author_name": "\udcff"}, "author_name '\\udcff' contains the control character "),
        ({"project_name": "{{ 1 }}"}, "project_name '{{ 1 }}' contains '{{', "),
    ],
    ids=str,
)
def test_the_command_line_fails_with_one_line(answers: Answers, beginning: str, bakery: Bakery, tmp_path: Path) -> None:
    baking = bakery.bake_cli(answers, tmp_path / "around" / "out")
    assert baking.returncode != 0
    assert baking.stderr.startswith(f"celery-template: {beginning}")
    assert len(baking.stderr.splitlines()) == 1
    assert not [path for path in tmp_path.rglob("*") if path.name not in ("around", "out")]


def test_the_prompts_of_the_command_line_take_hostile_texts(bakery: Bakery, tmp_path: Path) -> None:
    given = {**rotated(5), "author_email": "me@exämple.de"}
    typed = "".join(f"{given.get(name, '')}\n" for name in prompted())
    asked = bakery.bake_cli({}, tmp_path / "asked", typed=typed)
    assert asked.returncode == 0, asked.stderr
    passed = bakery.bake_cli(given, tmp_path / "passed")
    assert passed.returncode == 0, passed.stderr
    assert tree(tmp_path / "asked") == tree(tmp_path / "passed")


@pytest.mark.parametrize("text", ["{{ x", "{% x %}"])
def test_the_command_line_refuses_broken_jinja(text: str, bakery: Bakery, tmp_path: Path) -> None:
    baking = bakery.bake_cli({"description": text}, tmp_path / "out")
    assert baking.returncode != 0
    assert list(tmp_path.iterdir()) == []
