"""A database by SQLAlchemy: sessions, outbox, results, dead letters, and their migrations."""
