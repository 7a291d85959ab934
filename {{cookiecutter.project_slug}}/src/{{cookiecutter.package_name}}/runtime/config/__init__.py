"""Settings: the classes that a project's `config.py` builds on, how they are read and checked.

A project derives a class `Base` from the classes of its servers and sets its own choices there. It
has one class for each environment: `Development(OnThisMachine, Base)`, `Testing(InMemory, Base)`
and `Production(OnServers, Base)`.
"""

from .environment import ENV_FILE, ConfigurationError, Variables, read
from .environments import InMemory, OnServers, OnThisMachine, load_from
from .project import ProjectSettings, reader
from .settings import Settings
from .values import Count, PriorityNumber, Seconds, TimeZone

__all__ = [
    "ENV_FILE",
    "ConfigurationError",
    "Count",
    "InMemory",
    "OnServers",
    "OnThisMachine",
    "PriorityNumber",
    "ProjectSettings",
    "Seconds",
    "Settings",
    "TimeZone",
    "Variables",
    "load_from",
    "read",
    "reader",
]
