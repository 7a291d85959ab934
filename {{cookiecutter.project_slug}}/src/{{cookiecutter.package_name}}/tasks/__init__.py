"""Tasks, with one module per kind of work. Workers find every module in this folder."""
