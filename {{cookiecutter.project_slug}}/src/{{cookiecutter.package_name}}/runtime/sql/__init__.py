"""The project's database, with SQLAlchemy: sessions, outbox, results, dead letters, migrations."""
