"""Names of pools, and whether the standard library is monkey-patched for them."""

from __future__ import annotations

from importlib import import_module

GREENLET_POOLS = {"gevent", "eventlet"}


def pool_name(pool_class: type) -> str:
    """Return the name of a pool, as used with `--pool`."""
    name = pool_class.__module__.rpartition(".")[2]
    return "threads" if name == "thread" else name


def is_patched(pool: str) -> bool:
    """Whether the standard library is monkey-patched for a greenlet pool."""
    name = "gevent.monkey" if pool == "gevent" else "eventlet.patcher"
    patcher = import_module(name)
    check = patcher.is_module_patched if pool == "gevent" else patcher.is_monkey_patched
    return bool(check("socket"))
