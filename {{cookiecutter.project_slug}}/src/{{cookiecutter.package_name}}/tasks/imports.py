"""The steps of an import: download, split, validate the pieces in parallel, save, clean up.

Messages carry only names; the rows are in artifacts below `work/<import>/`. Any step may run twice:
it keeps existing files or writes the same content again. An import is complete when its summary
exists, which is written last and in one step. After that, repeated steps change nothing.

All steps keep their results: the last one for the caller, those of the pieces for the chord, and
the others because a failure reaches a caller who waits for the last step only if the failing task
keeps its result.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from itertools import count, islice
from typing import Any, TypedDict

from celery.canvas import Signature
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from ..artifacts import artifacts
from ..celery import app
from ..queues import QueueName
from ..runtime import answers, budget
from ..runtime.errors import PermanentError, TransientError
from ..runtime.tasks.base import BaseTask
from ..runtime.tasks.chords import fan_out
from ..runtime.tasks.http import HTTPTask
from ..settings import settings


class Row(BaseModel):
    """A valid row. Its fields are the columns that a file must have."""

    model_config = ConfigDict(str_strip_whitespace=True)

    sku: str = Field(min_length=1, max_length=64)
    quantity: PositiveInt
    price: Decimal = Field(ge=0, decimal_places=2)


class Checked(TypedDict):
    """The result of validating a piece."""

    piece: str
    rows: int
    rejected: int


class Summary(TypedDict):
    """The result of an import: how many rows, and the pointers to them."""

    rows: int
    rejected: int
    saved_to: str
    rejected_to: str


#: The columns of the two files of an import.
COLUMNS = {"rows": tuple(Row.model_fields), "rejected": ("line", "reason")}


def checked(import_id: str) -> str:
    """Return the name of an import if it can be the name of a folder.

    Raises:
        PermanentError: It cannot.
    """
    if not re.fullmatch(r"[\w-]{1,64}", import_id):
        raise PermanentError(
            f"{import_id!r} cannot be the name of an import: use letters, digits, - and _"
        )
    return import_id


def work(import_id: str, name: str = "") -> str:
    """Return the pointer to a temporary file, or to their folder."""
    return f"work/{checked(import_id)}/{name}"


def output(import_id: str, name: str = "") -> str:
    """Return the pointer to a file of the result, or to their folder."""
    return f"imports/{checked(import_id)}/{name}"


def saved(import_id: str) -> Summary | None:
    """Return the summary of an import if it is complete."""
    pointer = output(import_id, "summary.json")
    if not artifacts.exists(pointer):
        return None
    with artifacts.open_text(pointer) as file:
        summary: Summary = json.load(file)
    return summary


@app.task(
    base=HTTPTask, bind=True, name="imports.download", queue=QueueName.IO, ignore_result=False
)
def download(self: HTTPTask, url: str, import_id: str) -> None:
    """Download a file, unless an earlier run has done so.

    Raises:
        PermanentError: The server refuses, or the file is larger than `APP_IMPORT_MAX_BYTES`.
        TransientError: The server fails, or takes longer than a task may.
    """
    source = work(import_id, "source.csv")
    if saved(import_id) or artifacts.exists(source):
        return
    most, longest = settings().import_max_bytes, budget.in_force().soft
    deadline = time.monotonic() + longest
    with (
        answers.calling(f"GET {url}"),
        self.http.stream("GET", url, timeout=settings().import_timeout) as response,
    ):
        answers.raise_for_response(response)
        with artifacts.create(source) as file:
            for chunk in response.iter_bytes():
                file.write(chunk)
                if file.tell() > most:
                    raise PermanentError(f"GET {url}: the file is larger than {most} bytes")
                if time.monotonic() > deadline:
                    raise TransientError(f"GET {url}: the download took longer than {longest:g} s")


@app.task(bind=True, name="imports.split", queue=QueueName.CPU, ignore_result=False)
def split(self: BaseTask, import_id: str, rows_per_piece: int) -> Any:
    """Cut the file into pieces, and go on with one task for each.

    Raises:
        PermanentError: It is not a UTF-8 CSV file with the columns of `Row`, or it has no rows.
    """
    if summary := saved(import_id):
        return summary
    try:
        pieces = list(cut(import_id, rows_per_piece))
    except (csv.Error, UnicodeDecodeError) as error:
        raise PermanentError(f"import {import_id}: not a UTF-8 CSV file: {error}") from error
    if not pieces:
        raise PermanentError(f"import {import_id}: the file has no rows")
    return self.replace(validate_and_save(import_id, pieces))


def cut(import_id: str, rows_per_piece: int) -> Iterator[str]:
    """Write the pieces, each with the header and line numbers, and yield their names."""
    with artifacts.open_text(work(import_id, "source.csv")) as file:
        reader = csv.reader(file)
        header = [name.strip("\ufeff ") for name in next(reader, [])]
        if missing := [name for name in Row.model_fields if name not in header]:
            raise PermanentError(f"import {import_id}: missing columns: {', '.join(missing)}")
        records = numbered(reader)
        for number in count(1):
            if not (batch := list(islice(records, rows_per_piece))):
                return
            piece = f"{number:06}.csv"
            with artifacts.create(work(import_id, f"pieces/{piece}"), "w") as target:
                csv.writer(target).writerows([header, *batch])
            yield piece


def numbered(reader: Any) -> Iterator[list[str]]:
    """Put its first line number in front of each record; quoted ones may span several lines."""
    line = reader.line_num + 1
    for record in reader:
        if record:
            yield [str(line), *record]
        line = reader.line_num + 1


def validate_and_save(import_id: str, pieces: Iterable[str]) -> Signature[Any]:
    """Return the chord that ends an import, with one task for each piece."""
    header = [validate.si(piece, import_id) for piece in pieces]
    return fan_out(header, save.s(import_id) | clean_up.s(import_id))


@app.task(name="imports.validate", queue=QueueName.CPU, ignore_result=False)
def validate(piece: str, import_id: str) -> Checked:
    """Sort the rows of a piece into valid and rejected ones, and count them."""
    found = Checked(piece=piece, rows=0, rejected=0)
    if saved(import_id):  # a repetition, so the pieces may be gone
        return found
    with (
        artifacts.open_text(work(import_id, f"pieces/{piece}")) as source,
        artifacts.create(work(import_id, f"rows/{piece}"), "w") as rows,
        artifacts.create(work(import_id, f"rejected/{piece}"), "w") as rejected,
    ):
        reader = csv.reader(source)
        header = next(reader)
        for line, *values in reader:
            try:
                row = parse(header, values)
            except ValueError as error:
                csv.writer(rejected).writerow((line, explain(error)))
                found["rejected"] += 1
            else:
                csv.writer(rows).writerow(row.model_dump().values())
                found["rows"] += 1
    return found


def parse(header: list[str], values: list[str]) -> Row:
    """Return a valid row.

    Raises:
        ValueError: It is not valid.
    """
    if len(values) != len(header):
        raise ValueError(f"{len(values)} values for {len(header)} columns")
    return Row.model_validate(dict(zip(header, values, strict=True)))


def explain(error: ValueError) -> str:
    """Return everything that is wrong with a row, in one line."""
    if not isinstance(error, ValidationError):
        return str(error)
    return "; ".join(f"{detail['loc'][0]}: {detail['msg']}" for detail in error.errors())


@app.task(name="imports.save", queue=QueueName.CPU, ignore_result=False)
def save(pieces: list[Checked], import_id: str) -> Summary:
    """Join the pieces and write the summary, which completes the import."""
    if summary := saved(import_id):
        return summary
    for kind, columns in COLUMNS.items():
        with artifacts.create(output(import_id, f"{kind}.csv"), "w") as target:
            csv.writer(target).writerow(columns)
            for piece in pieces:
                with artifacts.open_text(work(import_id, f"{kind}/{piece['piece']}")) as part:
                    shutil.copyfileobj(part, target)
    summary = Summary(
        rows=sum(piece["rows"] for piece in pieces),
        rejected=sum(piece["rejected"] for piece in pieces),
        saved_to=output(import_id, "rows.csv"),
        rejected_to=output(import_id, "rejected.csv"),
    )
    artifacts.save(output(import_id, "summary.json"), json.dumps(summary).encode())
    return summary


@app.task(name="imports.clean_up", queue=QueueName.CPU, ignore_result=False)
def clean_up(summary: Summary, import_id: str) -> Summary:
    """Delete the temporary files, and return the result of the import."""
    artifacts.remove(work(import_id))
    return summary


@app.task(name="imports.abandon", queue=QueueName.CPU)
def abandon(import_id: str) -> None:
    """Delete the files of a failed import; this is the error callback of its steps."""
    artifacts.remove(work(import_id))
    if not saved(import_id):
        artifacts.remove(output(import_id))
