"""Dead letters: what failed for good, kept until somebody replays or discards it."""
