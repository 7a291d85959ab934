"""Redis: transport, visibility lease, clients, result settings, and the project's own state."""
