"""The HTTP API. Web code imports tasks; tasks never import web code (`make lint` checks it)."""
