"""The parts of `GET /v1/status` that say what is kept of calls, and what is handed on: see `batkol.status`."""

from __future__ import annotations

from typing import Final

import msgspec

NO_STORE: Final = "none"
"""The kind of a store that keeps nothing."""


class BacklogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Records that the database does not have yet."""

    records: int = 0
    oldest_s: float = 0.0


class JournalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The journal. Counts are of records since the start."""

    bytes: int = 0
    max_bytes: int = 0
    refused: int = 0  # lost: there was no room
    unsafe: int = 0
    failing: str | None = None  # the error of its disk
    damaged: int = 0  # files
    lost: int = 0  # the file was damaged
    slowest_sync_ms: float = 0.0


class StoreStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The store. Of `store.store`. Where `kind` is `none`, only that is sent, and the rest says nothing."""

    kind: str = NO_STORE  # `none` or `postgres`
    database: str = ""  # without its password
    state: str = ""  # `store.postgres.writer.WriterState`
    fault: str | None = None
    backlog: BacklogStatus = BacklogStatus()
    journal: JournalStatus = JournalStatus()
    written: int = 0
    retries: int = 0
    database_went_back: int = 0
    set_aside: int = 0
    not_set_aside: int = 0


class NoStoreStatus(StoreStatus, frozen=True, kw_only=True, omit_defaults=True):
    """The store's status of a service that stores nothing: only the kind. It is read as a `StoreStatus`."""

    kind: str


class SinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One sink. Of `sinks`. What the holder alone knows, as of its last look at the database, is 0 elsewhere."""

    kind: str = ""  # `webhook` or `nats`
    target: str = ""  # without path, query and secrets
    state: str = ""  # `sinks.statistics.SinkState`
    holder: str = ""  # the pod that hands the events on, or did last; "": not known
    pending: int = 0  # of the holder: events that wait; as are the next four
    oldest_s: float = 0.0  # age of the oldest of them
    held_back_s: float = 0.0  # for which events have waited for another transaction of the database
    dead_letters: int = 0
    expired: int = 0  # events that were deleted before the receiver took them
    delivered: int = 0  # by this pod, since its start; as are the next two
    retries: int = 0
    partials_dropped: int = 0
    fault: str | None = None  # why the last delivery failed, or the database cannot be asked
