"""Base classes of tasks, and functions for following and cancelling tasks."""
