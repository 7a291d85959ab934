"""Dead letters: tasks that failed for good, kept until somebody replays or discards them."""
