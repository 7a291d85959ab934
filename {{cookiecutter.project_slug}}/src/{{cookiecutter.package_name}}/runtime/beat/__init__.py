"""What beat does between two looks at its schedule, and where it keeps one."""
