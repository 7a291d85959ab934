"""Tasks that somebody outside has asked for: one row for each, which outlives messages."""
