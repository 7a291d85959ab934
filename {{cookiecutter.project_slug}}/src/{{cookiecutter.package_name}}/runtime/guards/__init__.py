"""Guards that keep work safe when tasks, workers or other servers fail."""
