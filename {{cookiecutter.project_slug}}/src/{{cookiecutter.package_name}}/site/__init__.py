"""The Django site. It imports tasks; tasks never import it (`make lint` checks that)."""
