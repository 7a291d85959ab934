"""Rules for every workflow, checked before it runs."""

{% if cookiecutter.__chords %}
import ast
{% endif %}
import json
from collections.abc import Iterator, Mapping
from functools import partial
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path
from typing import Any

import pytest
from celery.utils.functional import arity_greater

from {{ cookiecutter.package_name }} import workflows
from {{ cookiecutter.package_name }}.celery import app
from {{ cookiecutter.package_name }}.queues import QueueName

#: Every workflow, and every part of one that a task replaces itself by, with arguments.
WORKFLOWS: dict[str, tuple[Any, ...]] = {
{% if cookiecutter.__chords %}
    "tasks.imports.validate_and_save": ("orders", ["1.csv", "2.csv"]),
    "workflows.imports.import_file": ("https://example.com/a.csv",),
{% endif %}
    "workflows.archive.erase": (["a.csv", "b.csv", "c.csv"], 2),
    "workflows.archive.seal": (["a.csv"], "manifest.json"),
    "workflows.archive.verify": ({"a.csv": "00"},),
{% if cookiecutter.__orders %}
    "workflows.orders.place": ({"id": "7", "email": "ann@example.com", "items": {}, "price": 9},),
{% endif %}
    "workflows.reports.mail_report": ("a.csv", "b", "c", ["a@example.com"], "b@example.com"),
}


def build(name: str) -> Any:
    """Return the signature of a workflow."""
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"{app.main}.{module}"), function)(*WORKFLOWS[name])


def walk(node: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every signature in a workflow, those of error callbacks included."""
    if isinstance(node, Mapping):
        if "task" in node and "subtask_type" in node:
            yield node
        node = list(node.values())
    if isinstance(node, list | tuple):
        for part in node:
            yield from walk(part)


for_every_workflow = pytest.mark.parametrize("name", WORKFLOWS)


def test_every_workflow_is_in_the_table() -> None:
    found = set()
    for path in Path(workflows.__path__[0]).glob("[!_]*.py"):
        module = import_module(f"{workflows.__name__}.{path.stem}")
        for name, item in getmembers(module, isfunction):
            if item.__module__ == module.__name__:
                found.add(f"workflows.{path.stem}.{name}")
    assert found == {name for name in WORKFLOWS if name.startswith("workflows.")}


@for_every_workflow
def test_a_workflow_is_json_and_all_its_tasks_are_known(name: str) -> None:
    message = json.loads(json.dumps(build(name)))
    tasks = {signature["task"] for signature in walk(message)}
    assert tasks
    assert tasks <= set(app.tasks)


@for_every_workflow
def test_the_header_of_a_chord_keeps_its_results(name: str) -> None:
    for chord in walk(build(name)):
        if chord["subtask_type"] == "chord":
            for header in walk(chord["kwargs"]["header"]):
                assert not app.tasks[header["task"]].ignore_result, header["task"]


@for_every_workflow
def test_error_callbacks_run_as_tasks_of_their_own(name: str) -> None:
    for signature in walk(build(name)):
        for errback in signature["options"].get("link_error", []):
            task: Any = app.tasks[errback["task"]]
            is_bound = isinstance(task.__header__, partial)
            assert is_bound or not arity_greater(task.__header__, 1), task.name


{% if cookiecutter.__chords %}
def test_every_chord_is_made_by_fan_out() -> None:
    for path in Path(str(workflows.__file__)).parents[1].rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        code = (vars(node).values() for node in nodes if not isinstance(node, ast.Constant))
        makes_one = any("chord" in values for values in code)
        assert not makes_one or path.name == "chords.py", f"{path.name}: use fan_out"


{% endif %}
@pytest.mark.parametrize("name", ["celery.map", "celery.starmap"])
def test_batches_go_where_work_may_wait(name: str) -> None:
    assert app.amqp.router.route({}, name)["queue"].name == QueueName.BULK
