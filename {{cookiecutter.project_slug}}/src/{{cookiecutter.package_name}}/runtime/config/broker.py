"""What stands for a broker in development and in tests; production refuses it."""

LOCAL = ("filesystem://", "memory://")
