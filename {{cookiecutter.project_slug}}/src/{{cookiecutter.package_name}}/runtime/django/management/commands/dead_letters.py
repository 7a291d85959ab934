"""`manage.py dead_letters` is `celery dead-letters`."""

from ....cli.dead_letters import dead_letters
from ..handed_over import HandedOver


class Command(HandedOver):
    """List, replay and delete tasks that failed for good."""

    help = __doc__
    command = dead_letters
