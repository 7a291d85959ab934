"""Every variant is generated as tidy files, which are the same each time; wrong answers are refused."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import tomllib
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import cruft
import pytest
from cookiecutter.generate import (  # type: ignore[import-untyped]
    generate_context,
    is_copy_only_path,
)
from cookiecutter.prompt import prompt_for_config  # type: ignore[import-untyped]
from cookiecutter.utils import create_env_with_context  # type: ignore[import-untyped]
from jinja2 import Environment, FileSystemLoader
from pytest_cookies.plugin import Cookies  # type: ignore[import-untyped]

from conftest import Bakery, files, tree, unparsable
from support import repository
from variants import (
    PROJECT,
    TEMPLATE,
    Answers,
    Choice,
    complete,
    load,
    options,
    pairwise,
    prompted,
    variant_id,
)

Baked = Callable[[Mapping[str, Choice]], Path]
Refuse = Callable[..., str]

PAIRWISE = pairwise()
#: The default variant has every part; the last one differs from it in as much as can be.
EXTREMES = [PAIRWISE[0], max(PAIRWISE, key=lambda answers: variant_id(answers).count("="))]

for_every_pair = pytest.mark.parametrize("answers", PAIRWISE, ids=variant_id)
for_extremes = pytest.mark.parametrize("answers", EXTREMES, ids=variant_id)


# What a rendered project looks like


def lines_that(project: Path, is_wrong: Callable[[Path, str], bool], skip: str = "") -> Iterator[str]:
    """Yield the location of every line that is wrong."""
    for path in files(project):
        if skip and path.match(skip):
            continue
        for number, line in enumerate(path.read_text("utf-8").split("\n"), 1):
            if is_wrong(path, line):
                yield f"{path.relative_to(project)}:{number}: {line}"


@for_every_pair
def test_every_file_parses(answers: Answers, baked: Baked) -> None:
    wrong = unparsable(baked(answers))
    assert not wrong, "\n".join(wrong)


@for_every_pair
def test_every_import_of_the_package_finds_its_module(answers: Answers, baked: Baked) -> None:
    wrong = list(dangling_imports(baked(answers)))
    assert not wrong, "\n".join(wrong)


@for_every_pair
def test_no_template_syntax_is_left(answers: Answers, baked: Baked) -> None:
    """`${{` is an expression of GitHub Actions, `${#` one of the shell, and `{{ $labels` one of Prometheus.

    The dashboard of Grafana has names of labels in its legends. Markdown may name the tools that made the project, but
    no variable of theirs.
    """

    def is_wrong(path: Path, line: str) -> bool:
        name = r"cookiecutter\.(?!json)\w" if path.suffix == ".md" else "cookiecutter"
        if path.match("deploy/monitoring/grafana/dashboard.json"):
            line = re.sub(r"\{\{[a-z_]+\}\}", "", line)
        return bool(re.search(r"(?<!\$)\{[%#]|(?<!\$)\{\{(?! \$labels\.)", line) or re.search(name, line.lower()))

    copied = load().get("_copy_without_render", [])

    def is_copied(line: str) -> bool:  # such as the templates of Django's admin
        folders = Path(line.split(":")[0]).parents
        return any(folder.match(pattern) for folder in folders for pattern in copied)

    wrong = [line for line in lines_that(baked(answers), is_wrong) if not is_copied(line)]
    assert not wrong, "\n".join(wrong)


@for_every_pair
def test_nothing_is_empty(answers: Answers, baked: Baked) -> None:
    project = baked(answers)
    empty = [path for path in files(project) if not path.read_bytes().strip()]
    empty += [path for path in project.rglob("*") if path.is_dir() and not any(path.iterdir())]
    assert not empty, "\n".join(str(path.relative_to(project)) for path in empty)


@for_every_pair
def test_white_space_is_tidy(answers: Answers, baked: Baked) -> None:
    """No space at the end of a line, no stray blank lines; the texts of licenses are verbatim."""
    project = baked(answers)
    wrong = list(lines_that(project, lambda _, line: line != line.rstrip(), skip="LICENSE*"))
    for path in files(project):
        text = path.read_text("utf-8")
        blank_lines = 3 if path.suffix in {".py", ".mako"} else 2
        if not re.search(r"[^\n]\n\Z", text):
            wrong.append(f"{path.relative_to(project)}: does not end in one line end")
        if path.stem == "LICENSE":
            continue
        if text.startswith("\n"):
            wrong.append(f"{path.relative_to(project)}: starts with a blank line")
        if path.suffix == ".md":
            text = re.sub(r"(?ms)^```.*?^```$", "code", text)
        if "\n" * (blank_lines + 1) in text:
            wrong.append(f"{path.relative_to(project)}: {blank_lines} blank lines or more")
    assert not wrong, "\n".join(wrong)


@for_every_pair
def test_nothing_is_declared_twice(answers: Answers, baked: Baked) -> None:
    """No dependency, no variable of the environment and no target of the Makefile."""
    project = baked(answers)
    settings = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    for declared in (
        settings["project"]["dependencies"],
        settings["dependency-groups"]["dev"],
        re.findall(r"(?m)^(?:# )?([A-Z_]+)=", (project / ".env.example").read_text("utf-8")),
        re.findall(r"(?m)^([a-z%-]+):", (project / "Makefile").read_text("utf-8")),
    ):
        names = [re.split(r"[<>=]", row)[0] for row in declared]
        assert len(names) > 3
        assert sorted(set(names)) == sorted(names)


@for_every_pair
def test_file_names_are_legal_on_windows(answers: Answers, baked: Baked) -> None:
    reserved = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
    paths = list(tree(baked(answers)))
    illegal = [
        path
        for path in paths
        for name in path.split("/")
        if re.search(r'[<>:"|?*\\\x00-\x1f]|[. ]$', name) or reserved.fullmatch(name)
    ]
    assert not illegal, "\n".join(illegal)
    assert len({path.lower() for path in paths}) == len(paths)


def dangling_imports(project: Path) -> Iterator[str]:
    """Yield every import from the project's own package whose module or name does not exist."""
    source = project / "src"
    (package,) = source.iterdir()
    for path in files(project):
        if path.suffix != ".py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            imports: list[tuple[str, list[str]]] = []
            if isinstance(node, ast.Import):
                imports = [(name.name, []) for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                imports = [(node.module or "", [name.name for name in node.names])]
            relative = isinstance(node, ast.ImportFrom) and node.level
            for module, names in imports:
                if not relative and module.split(".")[0] != package.name:
                    continue
                folder = path.parents[relative - 1] if relative else source
                target = folder.joinpath(*module.split("."))
                if target.with_suffix(".py").is_file():
                    continue
                init = target / "__init__.py"
                known = init.read_text("utf-8") if init.is_file() else ""
                for name in names or ["__init__"]:
                    found = (target / f"{name}.py", target / name / "__init__.py")
                    if not any(file.is_file() for file in found) and not re.search(rf"\b{re.escape(name)}\b", known):
                        yield f"{path.relative_to(project)}: {module} {name}"


# Parts that are left out

REMOVALS = load()["_removals"]


@pytest.mark.parametrize("pattern", sorted({path for row in REMOVALS.values() for path in row["paths"]}))
def test_a_path_to_remove_exists_in_the_template(pattern: str) -> None:
    assert list((TEMPLATE / PROJECT).glob(pattern))


def test_django_has_nothing_of_sqlalchemy() -> None:
    assert set(REMOVALS["no database"]["paths"]) < set(REMOVALS["Django"]["paths"])


@pytest.mark.parametrize("row", REMOVALS.values(), ids=list(REMOVALS))
def test_a_part_that_is_off_leaves_no_trace(row: dict[str, Any], baked: Baked) -> None:
    for values in product(*row["when"].values()):
        answers = complete(dict(zip(row["when"], values, strict=True)))
        assert answers, f"no variant is without this part: {values}"
        project = baked(answers)
        (package,) = (path.name for path in (project / "src").iterdir())
        gone = [
            path.relative_to(TEMPLATE / PROJECT).as_posix()
            for pattern in row["paths"]
            for path in (TEMPLATE / PROJECT).glob(pattern)
        ]
        gone = [path.replace("{{cookiecutter.package_name}}", package) for path in gone]
        assert not [path for path in gone if (project / path).exists()]
        patterns = [pattern for path in gone for pattern in mentions(path, package, project)]
        trace = re.compile("|".join(patterns))
        found = list(lines_that(project, mentioning(trace)))
        assert not found, "\n".join(found)


def mentioning(trace: re.Pattern[str]) -> Callable[[Path, str], bool]:
    """Return a function that says whether a line has a match.

    The engine room describes itself, in the same words in every project.
    """
    return lambda path, line: path.parts[-2:] != ("runtime", "README.md") and bool(trace.search(line))


def mentions(path: str, package: str, project: Path) -> Iterator[str]:
    """Yield regular expressions for text that would still mention a removed path.

    That is the path, its name if no other file has it, the dotted name of a module, and for a
    module of tasks the names of its tasks, unless an app of Django has tasks of that name.
    """
    before, after = r"(?<![\w/.-])", r"(?![\w-])"
    parts = path.removeprefix(f"src/{package}/").removesuffix(".py").split("/")
    yield before + re.escape(path) + after
    if "." in Path(path).name and not any(project.rglob(Path(path).name)):
        yield r"(?<![\w-])" + re.escape(Path(path).name) + after
    if path.startswith("src/"):
        yield before + re.escape(".".join([package, *parts])) + after
        if len(parts) > 1:
            yield r"(?<![\w-])" + re.escape(".".join(parts)) + after
        if parts[0] == "tasks" and not any(
            f'name="{parts[-1]}.' in module.read_text("utf-8") for module in project.glob("src/*/*/tasks.py")
        ):
            yield rf"[\"']{re.escape(parts[-1])}\.[a-z*]"


# The same bytes for the same answers


@for_extremes
def test_two_processes_bake_the_same_bytes(answers: Answers, bakery: Bakery, tmp_path: Path) -> None:
    for seed in ("1", "2"):
        baking = bakery.bake_cli(answers, tmp_path / seed, {"PYTHONHASHSEED": seed})
        assert baking.returncode == 0, baking.stderr
    assert tree(tmp_path / "1") == tree(tmp_path / "2")
    assert tree(tmp_path / "1")


def test_answering_every_prompt_with_enter_is_the_same_as_no_prompts(
    bakery: Bakery, baked: Baked, tmp_path: Path
) -> None:
    baking = bakery.bake_cli({}, tmp_path, typed="\n" * len(prompted()))
    assert baking.returncode == 0, baking.stderr
    (project,) = tmp_path.iterdir()
    assert tree(project) == tree(baked({}))


def test_hooks_need_neither_a_network_nor_other_programs(bakery: Bakery, baked: Baked, tmp_path: Path) -> None:
    """An audit hook in every process refuses to connect, and leaves its trace."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "def refuse(event, arguments):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        raise OSError('no network')\n"
        "sys.addaudithook(refuse)\n"
        f"open({str(tmp_path / 'processes')!r}, 'a').write('one\\n')\n",
        "utf-8",
    )
    baking = bakery.bake_cli({}, tmp_path / "out", {"PATH": "", "PYTHONPATH": str(tmp_path)})
    assert baking.returncode == 0, baking.stderr
    assert baking.stderr == ""
    processes = (tmp_path / "processes").read_text("utf-8").splitlines()
    assert len(processes) == 3, "cookiecutter and its two hooks"
    (project,) = (tmp_path / "out").iterdir()
    assert tree(project) == tree(baked({}))


HOSTILE_ANSWERS: Answers = {
    "project_name": 'L\'été "2026" \\ 100 % {x} 👩🏽‍💻',
    "project_slug": "summer-of-26",
    "description": "'''a: b''' # $HOME `id` <b>&amp;</b> \\",
    "author_name": 'שלום "ד" O\'Neil',
    "author_email": "o'neil+x@exämple.de",
}


@pytest.mark.parametrize("answers", [{}, {**EXTREMES[-1], **HOSTILE_ANSWERS}], ids=["default", "hostile"])
def test_cruft_makes_and_keeps_the_same_project(
    answers: Answers,
    bakery: Bakery,
    template_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for variable, value in bakery.environment.items():
        monkeypatch.setenv(variable, value)
    repository(template_copy)
    expected = tree(bakery.bake(answers, tmp_path / "cookiecutter", template_copy))
    project = cruft.create(str(template_copy), tmp_path / "cruft", extra_context=answers)

    def written_by_cruft() -> dict[str, tuple[int, bytes]]:
        written = tree(project)
        assert written.pop(".cruft.json")
        return written

    assert written_by_cruft() == expected
    for command in (cruft.check, cruft.update):
        capsys.readouterr()
        assert command(project)
        assert "up to date" in capsys.readouterr().out
    # Render the stored answers again, twice; the hooks run each time.
    assert cruft.update(project, refresh_private_variables=True)
    assert written_by_cruft() == expected


# Answers that are refused


def test_a_combination_in_the_table_is_refused(
    template_copy: Path, refuse: Refuse, bakery: Bakery, tmp_path: Path
) -> None:
    """The rows of the table, and one more that shows the mechanism while the table is short."""
    config = load(template_copy)
    choices = options()
    first, second, *_ = (name for name in choices if len(choices[name]) > 1)
    sample = {first: [choices[first][-1]], second: [choices[second][-1]]}
    config["_refusals"]["sample"] = {"when": sample, "reason": "no", "instead": "take another"}
    (template_copy / "cookiecutter.json").write_text(json.dumps(config), "utf-8")
    for row in config["_refusals"].values():
        for name, values in row["when"].items():
            assert set(values) <= set(choices[name])
        for values in product(*row["when"].values()):
            answers = dict(zip(row["when"], values, strict=True))
            given = ", ".join(f"{name}={choice}" for name, choice in sorted(answers.items()))
            line = refuse(answers, template_copy)
            assert line == f"celery-template: {given} is refused: {row['reason']}; {row['instead']}"
    neighbour: Answers = {first: choices[first][-1]}
    assert bakery.bake(neighbour, tmp_path / "neighbour", template_copy).is_dir()


@pytest.mark.parametrize("name", options())
def test_a_choice_that_does_not_exist_is_refused(name: str, bakery: Bakery, tmp_path: Path) -> None:
    baking = bakery.bake_cli({name: "fibers"}, tmp_path / "out")
    assert baking.returncode != 0
    assert "fibers" in baking.stderr
    assert list(tmp_path.iterdir()) == []


# Prompts and structure


def test_every_question_and_every_choice_has_a_label() -> None:
    labels = load()["__prompts__"]
    assert list(labels) == prompted()
    for name, choices in options().items():
        if isinstance(choices[0], str):
            assert list(labels[name]) == ["__prompt__", *choices]
            assert len(set(labels[name].values())) == len(labels[name])
        else:
            assert isinstance(labels[name], str)


def test_eventlet_is_labelled_as_something_to_migrate_from() -> None:
    assert "migrate away" in load()["__prompts__"]["pool"]["eventlet"]


def test_the_template_uses_nothing_that_cruft_cannot_update() -> None:
    assert "_extensions" not in load()
    assert list((TEMPLATE / "hooks").glob("pre_prompt*")) == []


# How much of the template is Jinja


def test_a_team_can_bake_it_in_its_own_tests_with_pytest_cookies(cookies: Cookies) -> None:
    result = cookies.bake(extra_context={"pool": "threads"}, template=str(TEMPLATE))
    assert (result.exit_code, result.exception) == (0, None)
    assert (result.project_path / "Procfile").is_file()


def test_jinja_tags_are_rare(baked: Baked, summary: Callable[[str], None]) -> None:
    rows, tags, lines = jinja_density(baked({}))
    table = [f"{density:8.1f} {file}" for density, file in sorted(rows, reverse=True) if density]
    clean = sum(not density for density, _ in rows)
    overall = 100 * tags / lines
    table = [
        "Jinja tags per 100 rendered lines of the default variant:",
        f"{overall:8.1f} over all: {tags} tags, {lines} lines",
        *table,
        f"{clean:8} files have none",
    ]
    summary("\n".join(table))
    assert overall <= 5


class LoggingLoader(FileSystemLoader):
    """Loads templates from the folders that cookiecutter looks into, and logs which."""

    def __init__(self) -> None:
        self.loaded: list[Path] = []
        super().__init__([TEMPLATE / PROJECT, TEMPLATE / "templates"])

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        """Return the source of a template."""
        source = super().get_source(environment, template)
        self.loaded.append(Path(source[1]))
        return source


def jinja_density(project: Path) -> tuple[list[tuple[float, str]], int, int]:
    """Return tags per 100 rendered lines of every file, all tags, and all rendered lines.

    The tags of what a file includes from templates/ count over all.
    """
    context = generate_context(str(TEMPLATE / "cookiecutter.json"))
    context["cookiecutter"] = prompt_for_config(context, no_input=True)
    env = create_env_with_context(context)
    env.loader = loader = LoggingLoader()

    def tags(path: Path) -> int:
        kinds = [kind for _, kind, _ in env.lex(path.read_text("utf-8"))]
        return sum(kind.endswith("_begin") or kind == "raw_end" for kind in kinds)

    rows = []
    all_lines = 0
    for path in files(TEMPLATE / PROJECT):
        relative = path.relative_to(TEMPLATE / PROJECT).as_posix()
        rendered = project / env.from_string(relative).render(**context)
        if rendered.is_file() and not is_copy_only_path(relative, context):
            env.get_template(relative).render(**context)
            lines = len(rendered.read_text("utf-8").splitlines())
            rows.append((100 * tags(path) / max(lines, 1), relative))
            all_lines += lines
    return rows, sum(tags(path) for path in loader.loaded), all_lines


#: Packages that only a framework brings.
WEB = {"web", "site", "django"}


@pytest.mark.parametrize("framework", options()["framework"])
def test_the_package_without_examples_is_small(framework: str, baked: Baked, summary: Callable[[str], None]) -> None:
    project = baked({"examples": "none", "framework": framework})
    modules = [path for path in files(project / "src") if path.suffix == ".py"]
    web = sum(len(path.read_text("utf-8").splitlines()) for path in modules if WEB & set(path.parts))
    texts = [path.read_text("utf-8") for path in modules]
    all_lines = sum(len(text.splitlines()) for text in texts)
    filled = sum(bool(line.strip()) for text in texts for line in text.splitlines())
    code = sum(map(lines_of_code, texts))
    summary(
        f"The package without examples, framework {framework}: {len(modules)} modules,"
        f" {all_lines} lines of Python ({web} of the web part),"
        f" {filled} of them not blank, {code} of them code (no comment, no docstring)"
    )
    assert 0 < code < filled < all_lines


#: Variants whose owners differ in what they have.
OWNERS: dict[str, dict[str, Choice]] = {
    "default": {},
    "without examples": {"examples": "none"},
    "Django": {"framework": "django"},
    "FastAPI": {"framework": "fastapi"},
    "Flask": {"framework": "flask"},
    "the gallery, a database and FastAPI": {"examples": "all", "database": "postgresql", "framework": "fastapi"},
}


def test_what_an_owner_owns_is_little(baked: Baked, summary: Callable[[str], None]) -> None:
    """The engine room and migrations, which tools write, are nobody's to edit."""
    table = ["Lines of Python that an owner owns, source and tests:"]
    owned: dict[str, int] = {}
    for name, answers in OWNERS.items():
        project = baked(answers)
        parts = {"src": 0, "tests": 0}
        for path in files(project):
            part = path.relative_to(project).parts[0]
            if path.suffix == ".py" and part in parts and not {"runtime", "migrations"} & set(path.parts):
                parts[part] += len(path.read_text("utf-8").splitlines())
        owned[name] = parts["src"]
        # The wiring and the fleet are there without examples, too, and what they are about is not.
        assert 0 < parts["tests"] <= parts["src"] or answers.get("examples") == "none"
        table.append(f"{parts['src']:8}{parts['tests']:8} {name}")
    summary("\n".join(table))
    assert 0 < owned["without examples"] <= 450
    assert owned["without examples"] < owned["default"] <= 1500
    assert owned["Django"] - owned["default"] <= 600
    assert owned["FastAPI"] - owned["default"] <= 500


def lines_of_code(text: str) -> int:
    """Count the lines that hold something other than blanks, comments and docstrings."""
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in layout and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)
