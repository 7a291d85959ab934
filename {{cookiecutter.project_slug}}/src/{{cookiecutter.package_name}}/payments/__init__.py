"""An example: accounts, and payments that are settled exactly once."""
