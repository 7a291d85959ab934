"""Reports for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import chain, group
from celery.canvas import Signature

from ..tasks import report_mails, reports


def mail_report(
    source: str, group_by: str, amount: str, recipients: Iterable[str], owner: str
) -> Signature[Any]:
    """Return a workflow that makes a report once and mails it to each recipient.

    Each mail is tried again on its own, so one bad address holds up nobody.

    Args:
        source: Pointer to the file with the rows.
        group_by: Column to group by.
        amount: Column to add up.
        recipients: Addresses.
        owner: Address that is told when the report cannot be made.
    """
    report = reports.totals.s(source, group_by, amount)
    report.on_error(report_mails.tell_failure.si(owner, "The report"))
    return chain(report, group(report_mails.send.s(to, "Your report") for to in recipients))
