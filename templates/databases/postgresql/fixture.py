@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def tables(
    request: pytest.FixtureRequest,
    empty_folder: None,
    migrations: Config,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """Use a database for this test alone, or that of TEST_DATABASE_URL, with migrated tables.

    Tests that use it run on both; `make integration` runs those on a server.
    """
    monkeypatch.setattr(database_settings, "load", database_settings.load.__wrapped__)
    if request.param == "postgresql":
        if not (url := os.environ.get("TEST_DATABASE_URL")):
            pytest.skip("TEST_DATABASE_URL names no PostgreSQL whose tables tests may drop")
        monkeypatch.setenv("DATABASE_URL", url)
    command.upgrade(migrations, "heads")
    yield
    engine.close()
    command.downgrade(migrations, "base")
