import re
from pathlib import Path

import pytest

from my_celery_project import config
from my_celery_project.runtime.web import settings

TOKEN = "a" * 32


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APP_ADMIN_TOKEN")


def load() -> settings.Settings:
    """Return the settings of the environment as it is now."""
    return settings.settings.__wrapped__()


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("token", ["", "a" * 31])
def test_production_needs_a_long_token(
    environment: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_ENV", environment)
    monkeypatch.setenv("APP_ADMIN_TOKEN", token)
    with pytest.raises(config.ConfigurationError, match=f"has {len(token)} characters"):
        load()


def test_a_short_token_is_refused_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ADMIN_TOKEN", "secret")
    with pytest.raises(config.ConfigurationError, match="has 6 characters") as error:
        load()
    assert "secret" not in str(error.value).replace("secrets", "")


def test_a_token_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_ENV", "production")
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("APP_ADMIN_TOKEN_FILE", str(file))
    assert load().token() == TOKEN
    monkeypatch.setenv("APP_ADMIN_TOKEN", TOKEN)
    with pytest.raises(config.ConfigurationError, match="both set"):
        load()
    monkeypatch.delenv("APP_ADMIN_TOKEN")
    file.unlink()
    with pytest.raises(config.ConfigurationError, match="cannot be read"):
        load()


def test_development_makes_a_token_that_lasts() -> None:
    token = load().token()
    assert len(token) >= settings.SHORTEST_TOKEN
    assert settings.LOCAL_TOKEN.stat().st_mode & 0o077 == 0
    assert load().token() == token
    assert list(settings.LOCAL_TOKEN.parent.iterdir()) == [settings.LOCAL_TOKEN]


def test_a_wrong_setting_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_WEB_THREADS", "many")
    with pytest.raises(config.ConfigurationError, match="APP_WEB_THREADS"):
        load()


def test_the_example_env_file_names_every_setting(request: pytest.FixtureRequest) -> None:
    text = (request.config.rootpath / ".env.example").read_text(encoding="utf-8")
    for name in settings.Settings.model_fields:
        assert re.search(rf"(?m)^(# )?APP_{name.upper()}=", text)
