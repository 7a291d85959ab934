"""Refuse answers that cannot give a working project, with one line, before any file is written.

Then set aside existing files that would be overwritten by parts that the answers leave out:
cookiecutter writes those parts too, and ``post_gen_project.py`` deletes them afterwards.

Answers reach this file as JSON in a raw string and never as source code: ``tojson`` escapes every
quote, so no answer can end the string.
"""

import json
import keyword
import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from errno import ENOTDIR
from typing import Any

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
# The answers as they were typed or passed, before Jinja rendered them. cruft does not provide them.
RAW = json.loads(r"""{{ _cookiecutter | default({}) | tojson }}""")

FREE_TEXT = ("project_name", "description", "author_name", "author_email")
JINJA = re.compile(r"\{[%#{]")
SLUG = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# The two parts of an address (RFC 5321). The standard library's parser also accepts comments and
# spaces, and importing it takes almost half as long as the rest of this hook.
WORD = r"[\w!#$%&'*+/=?^`{|}~-]+"
LOCAL_PART = re.compile(rf'{WORD}(\.{WORD})*|"([ !#-\[\]-~]|\\[ -~])+"', re.ASCII)
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"({LABEL}\.)+{LABEL}", re.IGNORECASE)
NAME_LENGTH = 64
# Where existing files are kept while cookiecutter writes.
ASIDE: str = ANSWERS["_set_aside"]


def refused_text(option: str) -> Iterator[str]:
    """Yield why a free text cannot be written unchanged into every file format."""
    for text in (str(RAW.get(option, "")), str(ANSWERS[option])):
        if found := JINJA.search(text):
            yield (
                f"{option} {text!r} contains {found.group()!r}, which a later update would render as a"
                " template: leave it out"
            )
        # Control characters, surrogates, line and paragraph separators, and noncharacters.
        for character in text:
            category = unicodedata.category(character)
            if category in {"Cc", "Cs", "Zl", "Zp"} or ord(character) & 0xFFFE == 0xFFFE:
                yield f"{option} {text!r} contains the control character {character!r}: use printable text on one line"
                break
    text = str(ANSWERS[option])
    if text != text.strip() or not text:
        yield f"{option} {text!r} is empty or has spaces at its ends: give printable text without such spaces"


def refused_email(option: str) -> Iterator[str]:
    """Yield why an e-mail address is not valid; its domain may be an international one."""
    text = str(ANSWERS[option])
    local_part, _, domain = text.rpartition("@")
    try:
        domain = domain if domain.isascii() else domain.encode("idna").decode()
    except UnicodeError:
        domain = ""
    if not (LOCAL_PART.fullmatch(local_part) and DOMAIN.fullmatch(domain) and len(text) < 255):
        yield f"{option} {text!r} is not a valid e-mail address: use the form name@example.com"


def refused_name(option: str, name: str, pattern: re.Pattern[str], allowed: str) -> Iterator[str]:
    """Yield why a slug or package name would cause trouble with imports, packaging or file systems."""
    module = name.replace("-", "_")
    if len(name) > NAME_LENGTH:
        yield f"{option} {name!r} has {len(name)} characters: use at most {NAME_LENGTH}"
    elif not pattern.fullmatch(name):
        yield f"{option} {name!r} is not allowed: start with a lower-case letter and use only {allowed}"
    elif keyword.iskeyword(module) or keyword.issoftkeyword(module):
        yield f"{option} {name!r} is a Python keyword: choose another name"
    elif module in sys.stdlib_module_names:
        yield f"{option} {name!r} would hide a standard library module: choose another name"
    elif module in ANSWERS["_reserved_names"]:
        yield f"{option} {name!r} would hide a dependency or is a reserved name: choose another name"


def refused_app() -> Iterator[str]:
    """Yield why a package of a Django project cannot have the name of an app in it."""
    package = ANSWERS["package_name"]
    if ANSWERS["framework"] == "django" and package in ANSWERS["_django_apps"]:
        yield f"package_name {package!r} is the name of an app of every Django project: choose another name"


def rows(table: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table whose conditions all hold."""
    for row in ANSWERS[table].values():
        if all(ANSWERS[option] in values for option, values in row["when"].items()):
            yield row


def refused_combination() -> Iterator[str]:
    """Yield why answers that are allowed one by one cannot work together."""
    for row in rows("_refusals"):
        given = ", ".join(f"{option}={ANSWERS[option]}" for option in row["when"])
        yield f"{given} is refused: {row['reason']}; {row['instead']}"


def refusals() -> Iterator[str]:
    """Yield one line for every answer that is refused."""
    for option in FREE_TEXT:
        yield from refused_text(option)
    yield from refused_email("author_email")
    slug, package = ANSWERS["__slug_given"], ANSWERS["package_name"]
    letters = "lower-case ASCII letters, digits and single "
    yield from refused_name("project_slug", slug, SLUG, letters + "dashes or underscores")
    yield from refused_name("package_name", package, PACKAGE, letters + "underscores")
    yield from refused_app()
    yield from refused_combination()
    if os.path.exists(ASIDE) and holds_something():
        yield (
            f"{ASIDE} holds files that an interrupted run set aside: move them back to where they were, and try again"
        )


def holds_something() -> bool:
    """Whether an interrupted run has set aside anything but folders."""
    from pathlib import Path

    return any(path.is_symlink() or not path.is_dir() for path in Path(ASIDE).rglob("*"))


def set_aside() -> Iterator[str]:
    """Move existing files at the paths of parts that are left out, and record which folders exist.

    Yields:
        Why the parts cannot be written; in this case, nothing was moved.
    """
    # Imported here, because generating into a new folder needs none of these modules.
    import shutil
    from glob import glob
    from pathlib import Path

    package = f"src/{ANSWERS['package_name']}/"
    patterns = [path.replace("src/*/", package) for row in rows("_removals") for path in row["paths"]]
    moved = []
    try:
        # Path.glob would not see a dangling link.
        for path in sorted({Path(path) for pattern in patterns for path in glob(pattern)}):
            if os.path.lexists(path):  # it may have been moved along with a folder
                place = Path(ASIDE, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.rename(place)  # atomic, unlike copying, which could stop half-way
                moved.append(path)
        for folder in sorted({folder for pattern in patterns for folder in Path(pattern).parents}):
            if os.path.lexists(folder) and not folder.is_dir():
                raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), str(folder))
            if folder.is_dir():
                Path(ASIDE, folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        for path in moved:
            Path(ASIDE, path).rename(path)
        shutil.rmtree(ASIDE, ignore_errors=True)
        yield (f"{error.filename} is in the way ({error.strerror}): move it, or make it writable, and try again")
    else:
        if moved:
            print(f"{len(moved)} of your files and folders have been moved to {ASIDE} until generation ends.")


def refuse(lines: Iterator[str]) -> None:
    """End with the first line, if there is one; a bad project name causes further errors in slug and package."""
    if line := next(lines, None):
        sys.stderr.buffer.write(f"celery-template: {line}\n".encode(errors="backslashreplace"))
        sys.exit(1)


if __name__ == "__main__":
    refuse(refusals())
    if os.listdir():
        refuse(set_aside())
