@pytest.fixture
def tables(
    empty_folder: None, migrations: Config, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Use a database for this test alone, with migrated tables."""
    monkeypatch.setattr(database_settings, "load", database_settings.load.__wrapped__)
    command.upgrade(migrations, "heads")
    yield
    engine.close()
