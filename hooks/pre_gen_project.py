"""Refuse answers that cannot give a working project: one line each, before a file is written.

Answers reach this file as JSON inside a raw string and never as source code: ``tojson`` writes
every quote as an escape, so no answer can end the string.
"""

import json
import keyword
import re
import sys
import unicodedata
from email.errors import MessageError
from email.headerregistry import Address

ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")
# What was typed or passed before Jinja rendered it. cruft does not have it.
RAW = json.loads(r"""{{ _cookiecutter | default({}) | tojson }}""")

FREE_TEXT = ("project_name", "description", "author_name", "author_email")
JINJA = re.compile(r"\{[%#{]")
SLUG = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
PACKAGE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
DOMAIN = re.compile(r"(?!-)[^\W_]([\w-]*[^\W_])?(\.[^\W_]([\w-]*[^\W_])?)+")
NAME_LENGTH = 64


def refused_text(option):
    """Yield why a free text cannot be written into every format unchanged."""
    for text in {str(ANSWERS[option]), str(RAW.get(option, ""))}:
        if found := JINJA.search(text):
            yield f"{option} {text!r} contains {found.group()!r}, which a later update would render: leave it out"
        # Controls, surrogates, line and paragraph separators, and what is no character at all.
        for character in text:
            if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} or ord(character) & 0xFFFE == 0xFFFE:
                yield f"{option} {text!r} contains the control character {character!r}: use printable text on one line"
                break
    if not str(ANSWERS[option]).strip():
        yield f"{option} is empty: give at least one printable character"


def refused_email(option):
    """Yield why an address is refused by the standard library's parser or has no plain domain."""
    text = ANSWERS[option]
    try:
        domain = Address(addr_spec=text).domain
    except (ValueError, IndexError, MessageError):
        domain = ""
    if not DOMAIN.fullmatch(domain) or len(text) > 254:
        yield f"{option} {text!r} is no e-mail address: use the form name@example.com"


def refused_name(option, name, pattern, allowed):
    """Yield why a slug or package name would break imports, packaging or a file system."""
    module = name.replace("-", "_")
    if len(name) > NAME_LENGTH:
        yield f"{option} {name!r} has {len(name)} characters: use at most {NAME_LENGTH}"
    elif not pattern.fullmatch(name):
        yield f"{option} {name!r} is not allowed: start with a lower-case letter and use only {allowed}"
    elif keyword.iskeyword(module) or keyword.issoftkeyword(module):
        yield f"{option} {name!r} is a Python keyword: choose another name"
    elif module in sys.stdlib_module_names:
        yield f"{option} {name!r} would hide a module of Python's standard library: choose another name"
    elif module in ANSWERS["_reserved_names"]:
        yield f"{option} {name!r} would hide a dependency or a reserved file name: choose another name"


def refused_combination():
    """Yield why answers that are allowed alone cannot work together."""
    for row in ANSWERS["_refusals"].values():
        if all(ANSWERS[option] in values for option, values in row["when"].items()):
            given = ", ".join(f"{option}={ANSWERS[option]}" for option in row["when"])
            yield f"{given} is refused: {row['reason']}; {row['instead']}"


def refusals():
    """Yield one line for every answer that is refused."""
    for option in FREE_TEXT:
        yield from refused_text(option)
    yield from refused_email("author_email")
    letters = "lower-case ASCII letters, digits and single "
    yield from refused_name("project_slug", ANSWERS["__slug_given"], SLUG, letters + "dashes or underscores")
    yield from refused_name("package_name", ANSWERS["package_name"], PACKAGE, letters + "underscores")
    yield from refused_combination()


if __name__ == "__main__":
    # The first one only: a bad project name would otherwise repeat itself in slug and package.
    if line := next(refusals(), None):
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
        sys.exit(f"celery-template: {line}")
