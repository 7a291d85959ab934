"""Whatever is wrong with a variable ends in one line that names it and shows no secret.

Every field of every class of settings is tried, so that a new one is tested too.
"""

import json
import typing
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from host import BROKER, DATABASE, RESULTS
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from my_celery_project import config
from my_celery_project.celery import create_app
from my_celery_project.runtime.config import (
    ConfigurationError,
    ProjectSettings,
    Settings,
    Variables,
    read,
)
from my_celery_project.runtime.config.environment import (
    SHARED_PREFIXES,
    misspelt,
)
from my_celery_project.runtime.config.urls import (
    broken,
    refused_by_redis,
    unsafe,
)

PACKAGE = config.__package__.partition(".")[0]
ENVIRONMENTS = [name for name in config.ENVIRONMENTS if name != "testing"]
HIDDEN = "s3cr3t"

#: A server that starts: what is tried is wrong beside it.
RIGHT = {
    "ALLOWED_HOSTS": "www.example.com",
    "APP_ADMIN_TOKEN": "a" * 50,
    "APP_API_TOKEN": "a" * 50,
    "APP_ARTIFACTS_URL": "memory://",
    "APP_SMTP_HOST": "mail.internal",
    "CELERY_BROKER_URL": BROKER.replace(HIDDEN, "x9"),
    "CELERY_RESULT_BACKEND": RESULTS.replace(HIDDEN, "x9"),
    "DATABASE_URL": DATABASE.replace(HIDDEN, "x9"),
    "SECRET_KEY": "a" * 50,
}

DEFAULT = "its password is a well-known default: choose another password"

NUMBERS = ("-1", "0", "1e400", "nan", "9" * 30)
WRONG = (
    HIDDEN,
    f"foo://app:{HIDDEN}@host/x",
    f"amqp://app:{HIDDEN}@host/x;http://{HIDDEN}@host",
    str({"visibility_timeout": HIDDEN}),
    json.dumps({HIDDEN: 1}),
    json.dumps([HIDDEN]),
    f"%({HIDDEN})s",
)


def import_settings() -> None:
    """Import the modules of this project that have settings."""
    source = Path(config.__file__).parents[1]
    for file in sorted((source / PACKAGE).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "Variables" in text or "ProjectSettings" in text:
            import_module(".".join(file.relative_to(source).with_suffix("").parts))


def classes(base: type[Variables] = Variables) -> Iterator[type[Variables]]:
    """Yield the classes of settings that others do not derive from, besides those for Celery."""
    derived = [one for one in base.__subclasses__() if one.__module__.startswith(PACKAGE)]
    for one in derived:
        if not issubclass(one, Settings):
            yield from classes(one)
    if not derived and base is not ProjectSettings:  # from which a project may derive
        yield base


def loaders() -> dict[str, tuple[type[BaseSettings], Callable[[], Any]]]:
    """Return every class of settings with what reads it."""
    found: dict[str, tuple[type[BaseSettings], Callable[[], Any]]] = {}
    for name in ENVIRONMENTS:
        found[name] = config.ENVIRONMENTS[name], config.load
    import_settings()
    for settings in classes():
        for name in ENVIRONMENTS:
            case = f"{settings.__module__}.{settings.__name__}-{name}"
            found[case] = settings, partial(read, settings)
    return found


LOADERS = loaders()


def fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the variable and the field of every value, options of options too."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name}".upper()
        yield variable, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{variable}__")


def takes_anything(variable: str, field: Any) -> bool:
    """Whether a field is free text, a path, or the name of the environment."""
    types = {*typing.get_args(field.annotation), field.annotation} - {type(None)}
    is_checked = field.metadata or variable.endswith(("_URL", "_BACKEND", "_ORIGINS"))
    has_only_text = any(one in {str, Path, SecretStr} for one in types)
    return bool(has_only_text and not is_checked)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set what a server needs."""
    for name, value in {**RIGHT, "APP_ENV": "production"}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def refusal(load: Callable[[], Any]) -> str:
    """Return why settings are refused, or nothing."""
    try:
        load()
    except ConfigurationError as error:
        return str(error.code)
    return ""


def is_number(annotation: Any) -> bool:
    """Whether a field takes a number."""
    return annotation in {int, float} or any(map(is_number, typing.get_args(annotation)))


@pytest.mark.parametrize("case", LOADERS)
def test_every_setting_refuses_what_is_wrong_in_one_line(
    case: str, server: pytest.MonkeyPatch
) -> None:
    settings, load = LOADERS[case]
    server.setenv("APP_ENV", case.rpartition("-")[2])
    assert not refusal(load)
    for variable, field in fields(settings, str(settings.model_config.get("env_prefix", ""))):
        for value in (*WRONG, *(NUMBERS if is_number(field.annotation) else ())):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(variable, value)
                line = refusal(load)
            where = f"{variable}={value}: {line}"
            assert line or takes_anything(variable, field) or may_be(variable, value), (
                f"{where}is taken: give the field a type with bounds, such as Count or Seconds"
            )
            assert not line or variable.partition("__")[0] in line, where
            assert HIDDEN not in line.lower(), where
            assert "\n" not in line, where


def may_be(variable: str, value: str) -> bool:
    """Whether a value that is wrong elsewhere is right here."""
    zero = variable.endswith(("_PRIORITY", "__MAX_RETRIES"))
    return (zero and value == "0") or (variable == "CELERY_TASK_ANNOTATIONS" and value == "{}")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("CELERY_BROKER_URL", "{scheme}://:p#{secret}@h/0", "percent-encode the password (# is"),
        ("CELERY_BROKER_URL", "{scheme}://:p[{secret}@h/0", "percent-encode the password (# is"),
        ("CELERY_BROKER_URL", "{scheme}://:p/{secret}@h/0", "percent-encode the password (# is"),
        ("CELERY_BROKER_URL", "{scheme}://:p?{secret}@h/0", "percent-encode the password (# is"),
        ("CELERY_BROKER_URL", "{scheme}://h:99999/0", "such as {scheme}://"),
        ("CELERY_BROKER_URL", "{scheme}://h/0?{secret}=1", "is not one that kombu accepts"),
        ("CELERY_BROKER_READ_URL", "foo://app:{secret}@h/x", "this project is made for"),
        ("CELERY_BROKER_WRITE_URL", "{url};foo://app:{secret}@h", "this project is made for"),
        ("CELERY_BROKER_TRANSPORT_OPTIONS", "5", "use JSON, such as "),
        ("CELERY_TASK_ANNOTATIONS", "5", "use JSON, such as "),
        ("CELERY_TASK_DEFAULT_QUEUE", "celery", "it should be 'critical', 'default'"),
        ("CELERY_TASK_SERIALIZER", "pickle", "it should be 'json'"),
        ("CELERY_ACCEPT_CONTENT", "json, jsno", "it should be 'json'"),
        ("CELERY_TIMEZONE", "Europe/Olso", "it is not a time zone"),
        ("CELERY_TASK_PUBLISH_RETRY_POLICY__RETRIES", "1", "use one of interval_max"),
    ],
)
def test_an_error_says_what_is_allowed(
    variable: str, value: str, expected: str, environment: str, server: pytest.MonkeyPatch
) -> None:
    url = RIGHT["CELERY_BROKER_URL"]
    parts = {"scheme": url.partition(":")[0], "secret": HIDDEN, "url": url}
    server.setenv("APP_ENV", environment)
    server.setenv(variable, value.format(**parts))
    line = refusal(config.load)
    assert line.startswith(f"Configuration error: {variable}")
    assert expected.format(**parts) in line
    assert HIDDEN not in line


def test_words_between_commas_are_a_list(server: pytest.MonkeyPatch) -> None:
    server.setenv("CELERY_ACCEPT_CONTENT", "json, json")
    assert config.load().accept_content == ("json", "json")
    server.setenv("CELERY_ACCEPT_CONTENT", '["json"]')
    assert config.load().accept_content == ("json",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CELERY_APP", "app"),
        ("CELERY_BIN", "/usr/bin/celery"),
        ("CELERY_CUSTOM_WORKER_POOL", "pools:Pool"),
        ("CELERY_FLOWER_PORT", "5555"),
        ("CELERY_NODES", "w1 w2"),
        ("CELERYD_NODES", "w1 w2"),
        ("CELERYD_OPTS", "--concurrency=8"),
        ("CELERYBEAT_PID_FILE", "/run/beat.pid"),
        ("CELERY_PORT", "tcp://10.0.0.1:5555"),
        ("CELERY_NAME", "/worker/celery"),
        ("CELERY_BROKER_PORT", "tcp://10.0.0.1:6379"),
        ("CELERY_BROKER_PORT_6379_TCP_ADDR", "10.0.0.1"),
        ("CELERY_FLOWER_SERVICE_HOST", "10.0.0.1"),
        ("CELERY_SERVICE_PORT_HTTP", "5555"),
    ],
)
def test_variables_of_other_programs_are_left_alone(
    variable: str, value: str, server: pytest.MonkeyPatch
) -> None:
    server.setenv(variable, value)
    assert not refusal(config.load)


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("CELERY_TASK_TRACK_STARTED", "does not declare: add the field task_track_started to the"),
        ("CELERY_TASK_SEND_SENT_EVENT", "to the configuration class in config.py"),
        ("CELERY_ENABLE_UTC", "does not declare: add the field enable_utc"),
        ("CELERY_WORKER_HIJACK_ROOT_LOGGER", "add the field worker_hijack_root_logger"),
        ("CELERY_TASK_ALWAYS_EAGER", "add the field task_always_eager"),
        ("CELERY_ACKS_LATE", "use CELERY_TASK_ACKS_LATE"),
        ("CELERYD_CONCURRENCY", "use CELERY_WORKER_CONCURRENCY"),
        ("CELERY_TASK_ACKS_LAET", "Did you mean CELERY_TASK_ACKS_LATE?"),
        ("CELERY_TIMEZONE__NAME", "CELERY_TIMEZONE has no options"),
        ("CELERY_PORT", "is not a known setting: unset it"),
        ("CELERY_SECRET", "is not a known setting: unset it"),
    ],
)
def test_a_variable_that_nobody_reads_is_explained(
    variable: str, expected: str, server: pytest.MonkeyPatch
) -> None:
    server.setenv(variable, HIDDEN)
    line = refusal(config.load)
    assert expected in line
    assert ("Did you mean" in line) == ("Did you mean" in expected)
    assert HIDDEN not in line


def shared(settings: type[BaseSettings]) -> list[str]:
    """Return the variables of a class that begin like those of platforms."""
    prefix = settings.model_config.get("env_prefix", "")
    names = (f"{prefix}{name}".upper() for name in settings.model_fields)
    return [name for name in names if name.startswith(SHARED_PREFIXES)]


def swapped(variable: str) -> str:
    """Return a variable with two letters of its last word exchanged."""
    head, _, word = variable.rpartition("_")
    return f"{head}_{word[1]}{word[0]}{word[2:]}"


@pytest.mark.parametrize("case", LOADERS)
def test_a_misspelt_variable_is_refused_with_a_hint(case: str, server: pytest.MonkeyPatch) -> None:
    settings, load = LOADERS[case]
    server.setenv("APP_ENV", case.rpartition("-")[2])
    for variable in shared(settings):
        if variable in {"APP_ENV", "DATABASE_URL"}:  # too short to tell one name from another
            continue
        for name in (swapped(variable), f"{swapped(variable)}_FILE"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv(name, HIDDEN)
                line = refusal(load)
            assert f"{name} is not a known setting. Did you mean {variable}" in line
            assert HIDDEN not in line


@pytest.mark.parametrize("case", LOADERS)
def test_what_a_platform_or_another_class_reads_is_left_alone(
    case: str, server: pytest.MonkeyPatch
) -> None:
    settings, _ = LOADERS[case]
    others = {
        *(name for other, _ in LOADERS.values() for name in shared(other)),
        *("APP_HOME", "APP_KEY", "APP_NAME", "APP_NOISY_TENANTS", "APP_PORT", "APP_VERSION"),
        *("APP_SMTP_PORT_25_TCP_ADDR", "APP_SMTP_SERVICE_HOST", "DATABASE_SERVICE_HOST"),
        *("DATABASE_HOST", "DATABASE_PRIVATE_URL", "DATABASE_URL2", "DATABASE_URL_UNPOOLED"),
    }
    for name in others:
        server.setenv(name, "x")
    assert not list(misspelt(settings))


def test_a_service_link_in_place_of_a_setting_is_explained(server: pytest.MonkeyPatch) -> None:
    server.setenv("CELERY_TASK_TIME_LIMIT", "tcp://10.0.0.1:80")
    assert "enableServiceLinks: false" in refusal(config.load)


@pytest.mark.parametrize("case", LOADERS)
def test_no_settings_show_a_secret(case: str, server: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        server.setenv(name, value.replace("x9", HIDDEN).replace("a" * 50, HIDDEN * 10))
    server.setenv("APP_ENV", case.rpartition("-")[2])
    settings = LOADERS[case][1]()
    assert HIDDEN not in f"{settings!r} {settings}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_no_report_shows_a_secret(environment: str, server: pytest.MonkeyPatch) -> None:
    for name, value in RIGHT.items():
        server.setenv(name, value.replace("x9", HIDDEN))
    server.setenv("APP_ENV", environment)
    report = create_app(config.load()).bugreport()
    assert "broker_url: " in report
    assert HIDDEN not in report


@pytest.mark.parametrize("case", LOADERS)
def test_not_even_a_traceback_shows_a_secret(case: str, server: pytest.MonkeyPatch) -> None:
    settings, prefix = LOADERS[case][0], str(LOADERS[case][0].model_config.get("env_prefix"))
    for name in settings.model_fields:
        server.setenv(f"{prefix}{name}".upper(), f"foo://app:{HIDDEN}@host/x")
    if all(takes_anything(variable, field) for variable, field in fields(settings, prefix)):
        return  # no value of it is wrong
    with pytest.raises(ValidationError) as error:
        settings()
    assert HIDDEN not in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"APP_ENV=staging\nCELERY_TIMEZONE: s3cr3t\n", "line 2 of "),
        (b"redis://:s3cr3t@host/0\n", "line 1 of "),
        (b"CELERY_TIMEZONE\n", "does not have the form NAME=value"),
        ("CELERY_TIMEZONE=UTC".encode("utf-16"), "UTF-8"),
        ("CELERY_TIMEZONE=UTC".encode("utf-16-le"), "UTF-8"),
        ("A=Grüße".encode("latin-1"), "UTF-8"),
        (None, "Is a directory"),
    ],
)
def test_an_env_file_that_cannot_be_read_ends_in_one_line(
    content: bytes | None, expected: str, tmp_path: Path, server: pytest.MonkeyPatch
) -> None:
    server.setenv("APP_ENV", "development")
    file = tmp_path / "env"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    line = refusal(lambda: config.load(file))
    assert expected in line
    assert str(file) in line
    assert HIDDEN not in line


def test_an_env_file_of_a_windows_editor_is_read(
    tmp_path: Path, server: pytest.MonkeyPatch
) -> None:
    server.setenv("APP_ENV", "development")
    server.setenv("CELERY_TIMEZONE", "")
    server.delenv("CELERY_TIMEZONE")
    file = tmp_path / "env"
    file.write_bytes("\ufeff# Grüße\r\nexport CELERY_TIMEZONE = Europe/Oslo\r\n".encode())
    assert config.load(file).timezone == "Europe/Oslo"


@pytest.mark.parametrize("content", [None, "Grüße".encode("utf-16"), b"a\0b"])
def test_a_file_with_a_secret_that_cannot_be_read_ends_in_one_line(
    content: bytes | None, tmp_path: Path, server: pytest.MonkeyPatch
) -> None:
    file = tmp_path / HIDDEN
    if content is not None:
        file.write_bytes(content)
    server.delenv("CELERY_BROKER_URL")
    server.setenv("CELERY_BROKER_URL_FILE", str(file))
    line = refusal(config.load)
    assert line.startswith("Configuration error: CELERY_BROKER_URL_FILE names a file")
    assert HIDDEN not in line


SERVERS = [name for name in ENVIRONMENTS if name != "development"]


@pytest.mark.parametrize("environment", SERVERS)
@pytest.mark.parametrize("variable", ["CELERY_BROKER_URL", "CELERY_BROKER_READ_URL"])
@pytest.mark.parametrize("password", ["guest", "changeme", "Redis"])
def test_every_url_of_a_list_is_judged(
    password: str, variable: str, environment: str, server: pytest.MonkeyPatch
) -> None:
    server.setenv("APP_ENV", environment)
    good = RIGHT["CELERY_BROKER_URL"]
    server.setenv(variable, f"{good};{good.replace('x9', password)}")
    assert refusal(config.load).endswith(f"{variable} is refused: {DEFAULT}")
    server.setenv(variable, f"{good};{good}")
    assert not refusal(config.load)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("amqp://host", "without a password, kombu logs in as guest"),
        ("amqp://host//", "without a password, kombu logs in as guest"),
        ("amqps://app@host/x", "without a password, kombu logs in as guest"),
        ("amqp://app:Guest@host/x", DEFAULT),
        ("amqp://app:%67uest@host/x", DEFAULT),
        ("amqp://app:x9@host/x", None),
        ("redis://:changeme@host/0", DEFAULT),
        ("rediss://:x9@host/0", "add ?ssl_cert_reqs=required"),
        ("rediss://:x9@host/0?ssl_cert_reqs=required", None),
        ("memory://", "one process only"),
    ],
)
def test_the_login_that_a_url_means_is_judged(url: str, expected: str | None) -> None:
    reason = unsafe(url)
    assert reason == expected or (expected and reason and expected in reason)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "redis+socket", "sentinel"])
def test_a_password_that_reports_would_show_is_refused(scheme: str) -> None:
    reason = broken(f"{scheme}:///1?password={HIDDEN}")
    assert reason
    assert f"use {scheme}://:PASSWORD@" in reason
    assert HIDDEN not in reason
    assert not broken(f"{scheme}://:{HIDDEN}@/1")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://host?virtual_host=x", "virtual_host is a Redis database"),
        ("redis+socket:///run/redis.sock?virtual_host=x", "virtual_host is a Redis database"),
        ("redis+socket://", "it does not name a socket"),
        ("redis+socket:///", "it does not name a socket"),
        ("redis+socket:///run/redis.sock?virtual_host=1", None),
        ("redis://host?virtual_host=/1", None),
    ],
)
def test_the_database_and_the_socket_of_a_redis_are_judged(url: str, expected: str | None) -> None:
    reason = broken(url)
    assert reason == expected or (expected and reason and expected in reason)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"redis://host/0?{HIDDEN}=1", "only ssl_ca_certs, ssl_cert_reqs"),
        ("redis+socket:///run/redis.sock?socket_timeout=1", "after its ?"),
        ("redis://host/0?ssl_cert_reqs=required", "rediss://"),
        ("rediss://host/0?ssl_cert_reqs=required&ssl_ca_certs=/ca.pem", None),
        ("redis+socket:///run/redis.sock?virtual_host=1", None),
        ("amqp://host/x?heartbeat=1", None),
    ],
)
def test_what_a_client_of_redis_stumbles_over_is_known(url: str, expected: str | None) -> None:
    reason = refused_by_redis(url)
    assert reason == expected or (expected and reason and expected in reason)
    assert HIDDEN not in (reason or "")


def test_an_option_that_no_client_of_redis_takes_is_refused_at_start(
    server: pytest.MonkeyPatch,
) -> None:
    for case, (settings, load) in LOADERS.items():
        server.setenv("APP_ENV", case.rpartition("-")[2])
        for variable, _ in fields(settings, str(settings.model_config.get("env_prefix", ""))):
            if variable.endswith(("RESULT_BACKEND", "STORE_URL", "REDIS_URL")):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setenv(variable, "redis://:x9y8@host/0?foo=1")
                    assert variable in refusal(load)
