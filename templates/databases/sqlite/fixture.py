@pytest.fixture
def tables(
    empty_folder: None, migrations: Config, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Use a database of this test's own, with tables as migrations make them."""
    monkeypatch.setattr(database_settings, "load", database_settings.load.__wrapped__)
    command.upgrade(migrations, "heads")
    yield
    engine.close()
