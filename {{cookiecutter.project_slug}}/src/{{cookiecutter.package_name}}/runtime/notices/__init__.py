"""Telling people: of tasks that have failed for good, of servers and workers that are away."""
