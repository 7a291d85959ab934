"""Write docs/options.md from cookiecutter.json and presets/: `python3 docs/options.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

TEMPLATE = Path(__file__).resolve().parent.parent
PAGE = TEMPLATE / "docs" / "options.md"

INTRODUCTION = """\
# Options

Every option has a default, which is a good choice if you do not know; of several choices it is the first one.
[Generate a project](generate.md) shows how to give answers.

`docs/options.py` writes this page from `cookiecutter.json` and `presets/`.
"""

BRING = """\
## Answers that bring others

If an answer needs another one, that one is changed, and the last message says so. The project records the changed
answers. Rows apply from top to bottom.
"""

REFUSED = """\
## Answers that are refused

These contradict each other, so nothing is generated. The message says what to choose instead.
"""

PRESETS = """\
## Presets

A preset answers everything but the names.
"""


def code(value: Any) -> str:
    """Return an answer as people type it."""
    return f"`{json.dumps(value) if isinstance(value, bool) else value}`"


def answers(given: Mapping[str, Any]) -> str:
    """Return some answers, of which an option may have several."""
    parts = []
    for option, values in given.items():
        *others, last = [code(value) for value in (values if isinstance(values, list) else [values])]
        parts.append(f"`{option}` is {', '.join(others)}{' or ' if others else ''}{last}")
    return ", and ".join(parts)


def rows(heads: str, cells: list[tuple[str, ...]]) -> str:
    """Return a table."""
    columns = heads.split(", ")
    head, *others = (f"| {' | '.join(line)} |\n" for line in [columns, *cells])
    return f"{head}{'|---' * len(columns)}|\n{''.join(others)}"


def meaning(choice: str, label: str) -> str:
    """Return what a label says of a choice besides its name."""
    name, _, text = label.partition(" - ")
    return text if name.lower() == choice.lower() else f"{name}: {text}"


def sections(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the parts of the page."""
    labels = config["__prompts__"]
    yield INTRODUCTION
    texts = [name for name in labels if isinstance(config[name], str)]
    defaults = {name: "made from the name" if "{{" in config[name] else config[name] for name in texts}
    yield "## Texts\n\n" + rows("option, what it is, default", [(code(n), labels[n], defaults[n]) for n in texts])
    for name in (name for name in labels if isinstance(config[name], list)):
        choices = [(code(choice), meaning(choice, labels[name][choice])) for choice in config[name]]
        yield f"## `{name}`: {labels[name]['__prompt__']}\n\n" + rows("choice, what it gives", choices)
    parts = [
        (code(name), labels[name].partition(": ")[2], code(config[name]))
        for name in labels
        if isinstance(config[name], bool)
    ]
    yield "## Parts\n\nEach is `true` or `false`.\n\n" + rows("option, what it adds, default", parts)
    bring = [(answers(row["when"]), answers(row["then"]), row["why"]) for row in config["_completions"].values()]
    yield f"{BRING}\n" + rows("if, then, because", bring)
    refused = [(answers(row["when"]), row["reason"], row["instead"]) for row in config["_refusals"].values()]
    yield f"{REFUSED}\n" + rows("answers, why, instead", refused)
    presets = [
        (f"`presets/{file.name}`", file.read_text("utf-8").partition("\n")[0].removeprefix("# "))
        for file in sorted((TEMPLATE / "presets").glob("*.yaml"))
    ]
    yield f"{PRESETS}\n" + rows("preset, who it is for", presets)


def page() -> str:
    """Return the whole page."""
    return "\n".join(sections(json.loads((TEMPLATE / "cookiecutter.json").read_text("utf-8"))))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
