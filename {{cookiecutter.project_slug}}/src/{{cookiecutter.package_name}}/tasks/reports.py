{% set base = "ProgressTask" if cookiecutter._keeps_results[cookiecutter.result_backend] else "BaseTask" %}
"""Reports from rows of data."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

from ..artifacts import artifacts
from ..celery import app
from ..queues import QueueName
from ..runtime.errors import PermanentError
from ..runtime.tasks.{{ "base" if base == "BaseTask" else "progress" }} import {{ base }}


def add_up(rows: Iterable[dict[str, str]], group_by: str, amount: str) -> str:
    """Return the sums of one column for each value of another column, as CSV.

    Raises:
        PermanentError: A row has no value to group by, or no number to add.
    """
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for line, row in enumerate(rows, start=2):
        try:
            sums[row[group_by]] += Decimal(row[amount])
        except (InvalidOperation, KeyError, TypeError):
            raise PermanentError(
                f"line {line}: no value in {group_by!r} or no number in {amount!r}"
            ) from None
    report = io.StringIO(newline="")
    csv.writer(report).writerows([(group_by, amount), *sorted(sums.items())])
    return report.getvalue()


@app.task({{ "base=ProgressTask, " if base == "ProgressTask" }}bind=True, name="reports.totals", queue=QueueName.CPU)
def totals(self: {{ base }}, source: str, group_by: str, amount: str) -> str:
    """Add up a CSV file, and return the pointer to the report.

    Args:
        source: The pointer to the file.
        group_by: The column to group by.
        amount: The column to add up.
    """
    with artifacts.open_text(source) as file:
{% if base == "BaseTask" %}
        report = add_up(csv.DictReader(file), group_by, amount)
{% else %}
        total = sum(1 for _ in file) - 1
        file.seek(0)
        rows = self.track(csv.DictReader(file), total, "adding up")
        report = add_up(rows, group_by, amount)
{% endif %}
    return artifacts.save(f"reports/{self.request.id}.csv", report.encode())
