"""The web side: it imports tasks, and no task imports it (`make lint` checks that)."""
