"""Helpers for the decorators of this package: keeping signatures, and naming calls."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from celery import current_task
from kombu.utils.json import dumps

#: How to name a call: a template such as "{order_id}", or a function of the same arguments.
Key = str | Callable[..., object]


def wrap(function: Callable[..., Any], call: Callable[..., Any]) -> Callable[..., Any]:
    """Return `call` with the name and signature of a function, by which Celery checks arguments."""
    wrapper = wraps(function)(call)
    wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return wrapper


def task_name(function: Callable[..., Any]) -> str:
    """Return the name of the running task, or the function's name if no task runs."""
    if current_task:
        return str(current_task.name)
    return f"{function.__module__}.{function.__qualname__}"


def named(
    function: Callable[..., Any], key: Key | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Return the name of a call; without a key, it is made of all arguments.

    Raises:
        TypeError: The arguments do not fit the function, or cannot be written as JSON.
    """
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    arguments = {name: value for name, value in bound.arguments.items() if name != "self"}
    if isinstance(key, str):
        return key.format(**arguments)
    if key is not None:
        return str(key(**arguments))
    return dumps(arguments, sort_keys=True)
