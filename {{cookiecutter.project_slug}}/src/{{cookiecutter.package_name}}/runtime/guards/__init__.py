"""What keeps work safe when tasks, workers or other servers fail."""
