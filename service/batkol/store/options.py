"""Values that a store is made with. To read the settings needs them alone: neither SQLAlchemy nor the driver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from batkol.store.postgres.address import Address

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  where Linux mounts its tmpfs; the folder in it is private

_STATEMENTS: Final = 31  # of a batch, its beginning and its end among them


@dataclass(frozen=True, slots=True)
class DatabaseTimeouts:
    """Time limits of the service's database work. All in seconds."""

    connect_s: float = 5.0
    statement_s: float = 10.0  # the server's own limit
    command_s: float = 15.0  # the service's own limit, for a server that does not answer at all

    @property
    def transaction_s(self) -> float:
        """Time limit of a whole batch, whatever a network does to the driver: the sum of the limits of its parts."""
        return self.connect_s + _STATEMENTS * self.command_s


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """The sinks that get the events of the pod's calls from the database."""

    agent: str
    """The agent of the pod: the pods of one agent share its sinks, and those of another one have others."""
    sinks: tuple[str, ...]
    """Names of the sinks. One that the database does not know begins with the first event that a pod with it writes."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Settings of the store. `address` None: a server of its own, in `database_dir`."""

    address: Address | None
    database_dir: Path
    pool_size: int
    patience: DatabaseTimeouts
    journal_dir: Path
    journal_max_bytes: int
    retention_days: int
    pod: str
    memory: Path | None = SHARED_MEMORY
    outbox: OutboxSettings | None = None
    """None: no events are handed on, and none are written for it."""
