"""Generating into a folder that is not empty changes only files of the template."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import cruft
import pytest
from cookiecutter.exceptions import FailedHookException  # type: ignore[import-untyped]
from cookiecutter.main import cookiecutter  # type: ignore[import-untyped]
from pytest_cookies.plugin import Cookies  # type: ignore[import-untyped]

from conftest import Bakery, tree
from support import git, repository
from variants import PROJECT, TEMPLATE, Answers, Choice, load, pairwise, variant_id

Rebake = Callable[..., Path]

#: The variant in which most is left out, and one that has what that one leaves out.
SMALLEST: Answers = {"framework": "none", "beat": "none", "docker": False, "ci": "none"}
LARGEST = max(pairwise(), key=lambda answers: variant_id(answers).count("="))
SLUG = str(load()["project_name"]).lower().replace(" ", "-")
PACKAGE = SLUG.replace("-", "_")


@pytest.fixture
def rebake(bakery: Bakery, tmp_path: Path) -> Rebake:
    """Return a function that generates into `tmp_path`, over existing files."""

    def bake(
        answers: Mapping[str, Choice] | None = None, skip_if_file_exists: bool = False, replay: bool = False
    ) -> Path:
        project = cookiecutter(
            str(TEMPLATE),
            no_input=not replay,
            replay=replay,
            extra_context=None if replay else dict(answers or {}),
            output_dir=str(tmp_path),
            config_file=str(bakery.config_file),
            overwrite_if_exists=True,
            skip_if_file_exists=skip_if_file_exists,
        )
        return Path(project)

    return bake


def own_files(project: Path, template: Path) -> dict[str, tuple[int, bytes]]:
    """Return what is in a folder and not in a project that was baked into an empty one."""
    theirs = tree(template)
    return {path: content for path, content in tree(project).items() if path not in theirs}


def removable() -> list[str]:
    """Return the path of everything that any row of `_removals` matches, and of all inside it."""
    root = TEMPLATE / PROJECT
    matched = {path for row in load()["_removals"].values() for pattern in row["paths"] for path in root.glob(pattern)}
    inside = {inner for path in matched if path.is_dir() for inner in path.rglob("*")}
    names = {"{{cookiecutter.package_name}}": PACKAGE, "{{cookiecutter.project_slug}}": SLUG}
    paths = []
    for path in sorted(matched | inside):
        if path.is_file():
            text = path.relative_to(root).as_posix()
            for placeholder, name in names.items():
                text = text.replace(placeholder, name)
            paths.append(text)
    return paths


def write(project: Path, *paths: str) -> None:
    """Write a file of the user at each path."""
    for path in paths:
        place = project / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"mine: {path}\n", "utf-8")


@pytest.mark.parametrize("skip", [False, True], ids=["-f", "-f -s"])
def test_files_of_the_user_stay_at_every_path_that_is_ever_removed(
    skip: bool, rebake: Rebake, bakery: Bakery, tmp_path: Path
) -> None:
    plain = bakery.bake(SMALLEST, tmp_path / "plain")
    project = tmp_path / SLUG
    write(project, *removable(), "src/other_package/database.py", "deploy/systemd/mine.service", "notes/a-web.service")
    write(project, f"src/{PACKAGE}/web/mine.py", f"src/{PACKAGE}/mine/models.py", "Dockerfile.mine")
    for empty in ("data", f"src/{PACKAGE}/empty", "deploy/kubernetes/empty"):
        (project / empty).mkdir(parents=True)
    (project / "scripts").mkdir()
    (project / "scripts/run").write_text("#!/bin/sh\n", "utf-8")
    (project / "scripts/run").chmod(0o750)
    before = own_files(project, plain)
    assert f"src/{PACKAGE}/models.py" in before
    rebake(SMALLEST, skip)
    assert own_files(project, plain) == before
    chosen = {path: content for path, content in tree(plain).items() if path not in before}
    now = tree(project)
    kept_by_skip = {path for path in chosen if skip and now[path][1].startswith(b"mine: ")}
    assert {path: now[path] for path in chosen if path not in kept_by_skip} == {
        path: content for path, content in chosen.items() if path not in kept_by_skip
    }


def test_an_empty_folder_of_the_user_stays_where_a_part_is_left_out(
    rebake: Rebake, bakery: Bakery, tmp_path: Path
) -> None:
    plain = bakery.bake(SMALLEST, tmp_path / "plain")
    folders = [
        "data",
        f"src/{PACKAGE}/web",
        f"src/{PACKAGE}/payments",
        "deploy/systemd/workers",
        "tests/web",
        ".github",
    ]
    for folder in folders:
        (tmp_path / SLUG / folder).mkdir(parents=True)
    project = rebake(SMALLEST)
    assert {path for path in folders if (project / path).is_dir()} == set(folders)
    assert not [path for folder in folders for path in (project / folder).iterdir()]
    assert set(own_files(project, plain)) - {"deploy/systemd"} == set(folders) - {"deploy"}


def test_two_bakes_with_different_answers_change_files_of_the_template_only(rebake: Rebake, tmp_path: Path) -> None:
    project = rebake(LARGEST)
    write(project, "docs/mine.md", f"src/{PACKAGE}/mine.py", "deploy/mine.yaml")
    first = tree(project)
    rebake(SMALLEST)
    second = tree(project)
    assert set(first) <= set(second)
    for path in ("docs/mine.md", f"src/{PACKAGE}/mine.py", "deploy/mine.yaml"):
        assert second[path] == first[path]
    rebake(LARGEST)
    assert {path: content for path, content in tree(project).items() if path in first} == first


def commit(project: Path) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--allow-empty", "--message=mine")


@pytest.mark.parametrize("state", ["fresh", "emptied", "packed"])
def test_a_repository_stays_one(state: str, rebake: Rebake, bakery: Bakery, tmp_path: Path) -> None:
    plain = bakery.bake({}, tmp_path / "plain")
    project = tmp_path / SLUG
    project.mkdir()
    git(project, "init", "--quiet")
    if state != "fresh":
        write(project, "mine.txt")
        commit(project)
        (project / "mine.txt").unlink()
    if state == "packed":
        git(project, "gc", "--quiet", "--prune=now")
    before = tree(project / ".git")
    rebake()
    assert tree(project / ".git") == before
    git(project, "fsck", "--no-progress")
    commit(project)
    assert {path for path in own_files(project, plain) if not path.startswith(".git")} == set()


def test_links_are_neither_followed_nor_removed(rebake: Rebake, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / "full", "app.py")
    (elsewhere / "empty").mkdir(parents=True)
    project = tmp_path / SLUG
    links = {
        "link-to-empty": elsewhere / "empty",
        "link-to-full": elsewhere / "full",
        "link-to-nothing": elsewhere / "gone",
        f"src/{PACKAGE}/payments": elsewhere / "full",
        f"src/{PACKAGE}/jobs": elsewhere / "empty",
        "manage.py": elsewhere / "full/app.py",
        "compose.yaml": elsewhere / "gone",
    }
    for path, target in links.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).symlink_to(target)
    before = tree(elsewhere)
    rebake(SMALLEST)
    assert tree(elsewhere) == before
    assert {path: os.readlink(project / path) for path in links} == {path: str(to) for path, to in links.items()}


def test_the_last_message_names_what_stays_although_it_is_left_out(
    rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / SLUG, "manage.py", "deploy/kubernetes/mine.yaml", "mine.txt")
    rebake(SMALLEST)
    said = capfd.readouterr().out
    assert "  manage.py\n" in said
    assert "  deploy/kubernetes\n" in said
    assert "mine.txt" not in said


def test_the_last_message_is_shown_by_a_console_without_the_characters(
    rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "\u65e5\udcff-web.service"
    write(tmp_path / SLUG, "deploy/systemd/mine.service")
    (tmp_path / SLUG / "deploy/systemd/mine.service").rename(tmp_path / SLUG / "deploy/systemd" / name)
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    rebake(SMALLEST | {"systemd": True})
    assert r"deploy/systemd/\u65e5\udcff-web.service" in capfd.readouterr().out
    assert os.listdir(tmp_path / SLUG / "deploy/systemd").count(name) == 1


def test_what_an_interrupted_bake_set_aside_is_not_touched(
    rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    aside = load()["_set_aside"]
    write(tmp_path / SLUG, f"{aside}/manage.py")
    before = tree(tmp_path / SLUG)
    with pytest.raises(FailedHookException):
        rebake()
    assert tree(tmp_path / SLUG) == before
    assert f"{aside} holds files that an interrupted run set aside" in capfd.readouterr().err


@pytest.mark.parametrize("path", ["tests", f"src/{PACKAGE}/web"], ids=["kept", "left out"])
def test_a_file_in_place_of_a_folder_ends_in_one_line_and_changes_nothing(
    path: str, rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / SLUG, f"src/{PACKAGE}/database.py", f"src/{PACKAGE}/migrations/mine.py", "manage.py", path)
    before = tree(tmp_path / SLUG)
    with pytest.raises(FailedHookException):
        rebake(SMALLEST)
    assert tree(tmp_path / SLUG) == before
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"celery-template: {path} is in the way (Not a directory): ")


def test_what_cannot_be_moved_ends_in_one_line_and_changes_nothing(
    rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / SLUG, "deploy/kubernetes/mine.yaml", "manage.py", f"src/{PACKAGE}/database.py")
    before = tree(tmp_path / SLUG)
    # A folder is in the place of the second one; permissions would not stop the superuser.
    (tmp_path / SLUG / load()["_set_aside"] / "manage.py").mkdir(parents=True)
    with pytest.raises(FailedHookException):
        rebake(SMALLEST)
    assert tree(tmp_path / SLUG) == before
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("celery-template: manage.py is in the way (")


def test_a_bake_that_ends_in_the_middle_has_said_where_the_files_are(
    rebake: Rebake, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    aside = load()["_set_aside"]
    write(tmp_path / SLUG, "manage.py")
    (tmp_path / SLUG / "Makefile").symlink_to("nothing/at/all")
    with pytest.raises(OSError, match="Makefile"):
        rebake(SMALLEST)
    assert f"1 of your files and folders have been moved to {aside}" in capfd.readouterr().out
    assert (tmp_path / SLUG / aside / "manage.py").read_text("utf-8") == "mine: manage.py\n"


def test_a_bake_that_ended_before_anything_was_set_aside_can_be_repeated(
    rebake: Rebake, bakery: Bakery, tmp_path: Path
) -> None:
    write(tmp_path / SLUG, "mine.txt")
    (tmp_path / SLUG / "Makefile").symlink_to("nothing/at/all")
    with pytest.raises(OSError, match="Makefile"):
        rebake({})
    (tmp_path / SLUG / "Makefile").unlink()
    assert own_files(rebake({}), bakery.bake({}, tmp_path / "plain")).keys() >= {"mine.txt"}


def test_every_way_to_bake_into_the_folder_agrees(
    rebake: Rebake, bakery: Bakery, cookies: Cookies, tmp_path: Path
) -> None:
    expected = tree(bakery.bake(SMALLEST, tmp_path / "plain"))
    assert tree(rebake(SMALLEST)) == expected
    assert tree(rebake(SMALLEST)) == expected, "once more over the first one"
    assert tree(rebake(SMALLEST, skip_if_file_exists=True)) == expected
    assert tree(rebake(replay=True)) == expected
    for answers in (SMALLEST, SMALLEST):
        result = cookies.bake(extra_context=answers, template=str(TEMPLATE))
        assert result.exit_code == 0
        assert tree(result.project_path) == expected


def test_cruft_leaves_the_files_of_the_user_alone(
    bakery: Bakery, template_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in bakery.environment.items():
        monkeypatch.setenv(variable, value)
    repository(template_copy)
    project = tmp_path / SLUG
    write(project, "manage.py", "deploy/systemd/mine.service", "mine.txt")
    git(project, "init", "--quiet", "--initial-branch=main")
    before = tree(project)
    cruft.create(str(template_copy), tmp_path, extra_context=SMALLEST, overwrite_if_exists=True)
    assert {path: content for path, content in tree(project).items() if path in before} == before
    commit(project)
    (template_copy / PROJECT / "NEW.md").write_text("new\n", "utf-8")
    git(template_copy, "add", "--all")
    git(template_copy, "commit", "--quiet", "--message=next")
    assert cruft.update(project, skip_apply_ask=True)
    now = tree(project)
    assert "NEW.md" in now
    mine = [path for path in before if not path.startswith(".git")]
    assert {path: now[path] for path in mine} == {path: before[path] for path in mine}
