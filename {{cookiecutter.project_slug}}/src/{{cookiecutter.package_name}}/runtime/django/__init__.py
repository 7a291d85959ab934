"""What depends on Django."""
