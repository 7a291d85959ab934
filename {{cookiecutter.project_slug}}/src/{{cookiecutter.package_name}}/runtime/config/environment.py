"""The sources of settings: environment variables, the env file, and files that hold secrets.

A wrong setting ends the process with one line that names the variable and shows no secret.
"""

from __future__ import annotations

import difflib
import io
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from dotenv import dotenv_values
from dotenv.parser import parse_stream
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

ENV_FILE = Path(".env")

#: Where a machine without servers keeps what they would hold: queues, results and so on.
LOCAL_FOLDER = Path(".celery")

#: A field whose name ends in one of these holds a secret, even without `repr=False`.
SECRETS = ("_url", "_backend", "_key", "_password", "_token")

#: Values that an error message may show: a number, or a word of letters.
HARMLESS = re.compile(r"-?[0-9.]{1,15}|[A-Za-z_/]{1,24}")
HARMLESS_KEY = re.compile(r"[A-Za-z_.*-]{1,80}")

#: Prefixes that platforms use too: a name is refused only if it resembles one of ours.
SHARED_PREFIXES = ("APP_", "DATABASE_", "SENTRY_")

#: How similar a name must be to a known one to count as a misspelling of it; 1 means equal. URL and
#: URL2 count as two names.
NEAR = 0.86

#: The value that service links of Kubernetes and Docker give to the port of a service.
LINK = re.compile(r"(tcp|udp|sctp)://")

#: What is allowed, by the beginning of pydantic's name for the mistake.
ALLOWED = {
    "bool_": "use true or false",
    "dict_": "use JSON",
    "finite_": "use a number",
    "float_": "use a number",
    "int_": "use a whole number",
    "model_": "use JSON",
    "string_pattern": "use a value",
    "too_short": "give at least one",
    "tuple_": "use words separated by commas",
}

S = TypeVar("S", bound=BaseSettings)


class ConfigurationError(SystemExit):
    """A wrong setting, which ends the process with one line on standard error.

    If importing the app raises any other exception, Celery's command line prints a traceback.
    """

    def __init__(self, sentence: str) -> None:
        line = f"Configuration error: {' '.join(sentence.split())}"
        super().__init__(line)
        if "gunicorn.arbiter" in sys.modules:
            # gunicorn restarts a worker for ever unless it exits with this number
            # (gunicorn/arbiter.py, `WORKER_BOOT_ERROR`). A number prints nothing, hence the print.
            print(line, file=sys.stderr, flush=True)
            self.code = 3


class Environ(EnvSettingsSource):
    """Environment variables, and the files that variables named `..._FILE` point to."""

    def __init__(self, settings_class: type[BaseSettings]) -> None:
        super().__init__(settings_class)
        self.env_vars = {**self.env_vars, **secrets_from_files(settings_class)}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Parse JSON, or words separated by commas where the field is a list.

        Anything else is returned unchanged, so that validation names the variable.
        """
        try:
            decoded = super().decode_complex_value(field_name, field, value)
        except ValueError:
            decoded = value
        if get_origin(field.annotation) is tuple and not isinstance(decoded, list | dict):
            return [word.strip() for word in str(decoded).split(",") if word.strip()]
        return decoded


class Variables(BaseSettings):
    """Settings that are read from environment variables; errors and `repr` show no secrets."""

    model_config = SettingsConfigDict(
        # Of the classes of all environments a process uses one: the schemas of the others would be
        # a tenth of what it takes to import the app.
        defer_build=True,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Use the sources that `sources` returns."""
        return cls.sources(init_settings)

    @classmethod
    def sources(cls, given: PydanticBaseSettingsSource) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of values, the first of which wins: arguments, then the environment.

        Args:
            given: The source that holds the arguments.
        """
        return (given, Environ(cls))

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        fields = type(self).model_fields
        for name, value in super().__repr_args__():
            if name not in fields or not is_secret(name, fields[name]):
                yield name, value


def read(settings_class: type[S]) -> S:
    """Return the settings of this process.

    Raises:
        ConfigurationError: A value is wrong or missing, or a variable is misspelt.
    """
    if sentences := list(misspelt(settings_class)):
        raise ConfigurationError("; ".join(sentences))
    try:
        return settings_class()
    except ValidationError as error:
        raise ConfigurationError("; ".join(explain(error, settings_class))) from None


def misspelt(settings_class: type[BaseSettings]) -> Iterator[str]:
    """Yield a sentence for every variable that resembles a known one and would be ignored."""
    prefix = settings_class.model_config.get("env_prefix", "")
    fields = {f"{prefix}{field}".upper() for field in settings_class.model_fields}
    readable = fields | {f"{name}_FILE" for name in fields}
    for variable in sorted(os.environ):
        name = variable.upper().partition("__")[0]
        for shared in filter(name.startswith, SHARED_PREFIXES):
            ours = [one.removeprefix(shared) for one in readable if one.startswith(shared)]
            for close in nearest(name.removeprefix(shared), ours):
                if name not in readable:
                    yield (
                        f"{variable} is not a known setting. Did you mean {shared}{close}?"
                        " Otherwise unset it, or give it another name"
                    )


def nearest(name: str, names: Iterable[str]) -> list[str]:
    """Return a list with the known name that was probably meant, or an empty list."""
    return difflib.get_close_matches(name, sorted(names), n=1, cutoff=NEAR)


def read_env_file(env_file: Path = ENV_FILE) -> None:
    """Set the variables in a file that the process does not have yet, except in testing.

    Raises:
        ConfigurationError: The file cannot be read, or a line is not NAME=value.
    """
    if os.environ.get("APP_ENV") == "testing":
        return
    try:
        text = env_file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"{env_file} cannot be read ({error.strerror}): it must be a readable file with lines"
            " of the form NAME=value"
        ) from None
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{env_file} is not UTF-8 text: save it with this encoding")
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            raise ConfigurationError(
                f"line {binding.original.line} of {env_file} does not have the form NAME=value,"
                " such as APP_ENV=development"
            )
    for name, value in dotenv_values(stream=io.StringIO(text)).items():
        os.environ.setdefault(name, value or "")


def set_log_levels() -> None:
    """Make workers and beat log at INFO unless a variable or an option says otherwise.

    Celery's own default is WARNING. Its command line imports the app before it reads these
    variables, and an option on the command line wins over them.
    """
    for command in ("WORKER", "BEAT"):
        variable = f"CELERY_{command}_LOGLEVEL"
        os.environ[variable] = os.environ.get(variable) or "INFO"


def secrets_from_files(settings_class: type[BaseSettings]) -> dict[str, str]:
    """Read the settings whose variable ends in `_FILE`; return them by the variable's name.

    Raises:
        ConfigurationError: A file cannot be read, or the variable is set as well.
    """
    secrets: dict[str, str] = {}
    fields = settings_class.model_fields
    for field in fields:
        variable = f"{settings_class.model_config['env_prefix']}{field.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        if not path or f"{field}_file" in fields:  # the class reads such a file itself
            continue
        if os.environ.get(variable):
            raise ConfigurationError(
                f"{variable} and {variable}_FILE are both set: unset one of them"
            )
        secrets[variable.lower()] = read_secret(f"{variable}_FILE", path)
    return secrets


def read_secret(variable: str, path: str) -> str:
    """Return the secret that a file holds.

    Args:
        variable: The name of the variable that names the file.
        path: The file. No message shows it, because some people put the secret itself there.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        reason = error.strerror
    except ValueError:
        reason = "it is not UTF-8 text"
    else:
        if "\0" not in text:
            return text
        reason = "it is not UTF-8 text"
    raise ConfigurationError(
        f"{variable} names a file that cannot be read ({reason}): give the path of a file that"
        " holds the value, such as /run/secrets/name"
    ) from None


def make_folder(folder: Path) -> None:
    """Create a folder and its parents.

    Raises:
        ConfigurationError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"the folder {folder} cannot be created ({error.strerror}): start the process in a"
            " folder that it may write to"
        ) from None


def is_secret(name: str, field: FieldInfo) -> bool:
    """Whether the value of a field is a secret."""
    types = (field.annotation, *get_args(field.annotation))
    return not field.repr or SecretStr in types or name.endswith(SECRETS)


def explain(error: ValidationError, settings_class: type[BaseModel]) -> Iterator[str]:
    """Yield one sentence for every wrong value; no secret is repeated."""
    prefix = str(settings_class.model_config.get("env_prefix", ""))
    for detail in error.errors(include_url=False):
        if detail["type"] == "default_factory_not_called":  # follows from another wrong value
            continue
        message = detail["msg"].removeprefix("Value error, ")
        if not detail["loc"]:
            yield message
            continue
        path = [str(part) for part in detail["loc"]]
        parent, field = declared(settings_class, path)
        # The keys of a table are chosen by the user and may hold anything.
        variable = prefix + "__".join(filter(HARMLESS_KEY.fullmatch, path)).upper()
        if detail["type"] == "missing" and field is not None:
            yield f"{variable} is not set: {field.description or 'give a value'}"
            continue
        if LINK.match(str(detail["input"])) and not detail["type"].endswith("value_error"):
            yield (
                f"{variable} is set by a service link of Kubernetes or Docker: turn off service"
                " links (enableServiceLinks: false), or give the service another name"
            )
            continue
        if field is None and parent is not None:
            names = ", ".join(sorted(parent.model_fields))
            yield f"{variable} is not a known option: use one of {names}"
            continue
        shown = settings_class.model_fields[path[0]] if field is None else field
        given = ""
        if field is not None and HARMLESS.fullmatch(str(detail["input"])):
            given = "" if is_secret(path[-1], field) else f"={detail['input']!r}"
        yield f"{variable}{given} is wrong: {advice(detail['type'], message, shown)}"


def declared(
    model: type[BaseModel], path: list[str]
) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the model in which the last name of a path is looked up, and the field if it exists.

    A key of a table has no model, because the user chooses it.
    """
    inner: Any = model
    parent, field = None, None
    for name in path:
        parent, field = None, None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            parent, field = inner, inner.model_fields.get(name)
            inner = None if field is None else field.annotation
        else:  # the values of a table or a list
            inner = [None, *get_args(inner)][-1]
    return parent, field


def advice(kind: str, message: str, field: FieldInfo) -> str:
    """Return a phrase that says what is allowed, with an example.

    Args:
        kind: Pydantic's name for the mistake.
        message: The message of pydantic or of a validator.
        field: The field; its own example or default is shown.
    """
    default = None if field.is_required() else field.get_default(call_default_factory=False)
    example = written((field.examples or [default])[0])
    such_as = f", such as {example}" if example else ""
    if kind == "value_error":
        return message
    for start, allowed in ALLOWED.items():
        if kind.startswith(start):
            return f"{allowed}{such_as}"
    return message.replace("Input should", "it should")


def written(value: Any) -> str:
    """Return a value as one would write it in a variable; of several options, only the first."""
    if isinstance(value, BaseModel):
        return json.dumps(dict(list(value.model_dump(mode="json", exclude_none=True).items())[:1]))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, str):
        return str(value)
    return "" if value is None else json.dumps(value, default=str)
