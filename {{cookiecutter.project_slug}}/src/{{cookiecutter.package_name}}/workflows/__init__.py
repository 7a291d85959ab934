"""Workflows: functions that return a signature, which the caller starts with `delay()`.

    archive.erase(["reports/1.csv", "reports/2.csv"]).delay()

A task must never wait for another one with `.get()`: it would block a process that the other may
need.
"""
