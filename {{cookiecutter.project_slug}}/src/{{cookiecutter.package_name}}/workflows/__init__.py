"""Workflows: functions that return a signature, which the caller starts by `delay()`.

    archive.erase(["reports/1.csv", "reports/2.csv"]).delay()

A task never waits for another one (`.get()`): it would block a process that the other may need.
"""
