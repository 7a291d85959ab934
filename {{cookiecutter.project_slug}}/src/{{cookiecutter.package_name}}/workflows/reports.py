"""A workflow that makes a report and mails it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import chain, group
from celery.canvas import Signature

from ..tasks import report_mails, reports


def mail_report(
    source: str, group_by: str, amount: str, recipients: Iterable[str], owner: str
) -> Signature[Any]:
    """Return a workflow that makes a report once, and mails it to each recipient.

    Each mail is retried separately, so that a bad address does not hold up the others.

    Args:
        source: The pointer to the file with the rows.
        group_by: The column to group by.
        amount: The column to add up.
        recipients: The addresses to send the report to.
        owner: The address that is notified if the report fails.
    """
    report = reports.totals.s(source, group_by, amount)
    report.on_error(report_mails.tell_failure.si(owner, "The report"))
    return chain(report, group(report_mails.send.s(to, "Your report") for to in recipients))
