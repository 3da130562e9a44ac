"""What Postgres has not got yet, kept on the pod: the newest records in memory, the others in one SQLite file."""

from batkol.store.journal.framing import Frame
from batkol.store.journal.journal import Journal

__all__ = ["Frame", "Journal"]
