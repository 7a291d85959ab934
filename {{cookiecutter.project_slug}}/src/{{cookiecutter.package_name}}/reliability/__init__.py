"""What keeps work safe when tasks, workers, brokers or other servers fail."""
