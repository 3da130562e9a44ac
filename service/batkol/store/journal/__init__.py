"""The journal: records that Postgres does not have yet, the newest in memory, the others in one SQLite file."""

from batkol.store.journal.framing import Frame
from batkol.store.journal.journal import Journal

__all__ = ["Frame", "Journal"]
