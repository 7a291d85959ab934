"""`manage.py dead_letters` is `celery dead-letters`."""

from ....runtime.cli.dead_letters import dead_letters
from ..handed_over import HandedOver


class Command(HandedOver):
    """See what failed for good, run it again or drop it."""

    help = __doc__
    command = dead_letters
