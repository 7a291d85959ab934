"""Base classes of tasks: when to try again, how to report progress, how to follow and cancel."""
