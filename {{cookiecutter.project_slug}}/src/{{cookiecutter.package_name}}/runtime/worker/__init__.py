"""What a worker checks before it starts, does with each message, and shows of its life."""
