"""Where dead letters are kept."""

from ..sql.dead_letters import ERRORS, TableStore, store_of

__all__ = ["ERRORS", "TableStore", "store_of"]
