"""A database by SQLAlchemy: sessions, outbox, results."""
