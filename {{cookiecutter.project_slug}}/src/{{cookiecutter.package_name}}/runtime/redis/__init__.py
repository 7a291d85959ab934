"""What is special about a Redis: transport, lease, clients, the project's own state."""
