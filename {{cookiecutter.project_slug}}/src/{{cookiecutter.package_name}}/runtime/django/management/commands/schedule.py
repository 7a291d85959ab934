"""`manage.py schedule` is `celery schedule`."""

from ....cli.schedule import schedule
from ..handed_over import HandedOver


class Command(HandedOver):
    """List and change schedules while beat runs."""

    help = __doc__
    command = schedule
