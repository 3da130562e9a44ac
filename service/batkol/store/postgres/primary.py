"""Check that keeps a pool on the primary: it leaves connections to a read-only server within seconds.

After a failover the old primary may live on, and only read; or the database's name may lead there for a while. Nothing
breaks then, so the pool must ask. A connection is asked when it is taken from the pool, `CHECKED_S` apart at
most; one that leads to a server that only reads is replaced, and what it is replaced by is used for as long again,
since reading there is better than nothing.
"""

from __future__ import annotations

import time
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.postgres.faults import is_data_error, is_read_only, sqlstate

CHECKED_S: Final = 5.0
"""Seconds for which a connection is used without asking what it leads to."""

_MADE: Final = "batkol.made_at"
_CHECKED: Final = "batkol.checked_at"
_FRESH: Final = "batkol.fresh"


class PrimaryCheck:
    """Watches one engine's pool, from when it is made on."""

    def __init__(self, engine: AsyncEngine, answer_s: float) -> None:
        """`answer_s`: seconds that a server has to answer whether it is read-only."""
        self._answer_s = answer_s
        self._left_at = float("-inf")
        event.listen(engine.sync_engine, "connect", self._on_connect)
        event.listen(engine.sync_engine, "checkout", self._on_checkout)
        event.listen(engine.sync_engine, "handle_error", self._on_error)

    def invalidate(self) -> None:
        """Have every connection that there is now replaced when it is next taken. What is under way goes on."""
        self._left_at = time.monotonic()

    def _on_connect(self, _: Any, record: Any) -> None:
        record.info[_MADE] = record.info[_CHECKED] = time.monotonic()
        record.info[_FRESH] = True

    def _on_checkout(self, connection: Any, record: Any, _: Any) -> None:
        """Raise `DisconnectionError` where the pool is to make another one, which it then does."""
        if record.info.pop(_FRESH, False):
            return  # there is no better one to be had now
        if record.info[_MADE] <= self._left_at:
            raise DisconnectionError("the client left the server")
        now = time.monotonic()
        if now - record.info[_CHECKED] < CHECKED_S:
            return
        if self._only_reads(connection):
            self.invalidate()  # the others lead there as well
            raise DisconnectionError("the server is read-only")
        record.info[_CHECKED] = now

    def _only_reads(self, connection: Any) -> bool:
        asked = "SHOW transaction_read_only"
        try:
            answer = connection.run_async(lambda driver: driver.fetchval(asked, timeout=self._answer_s))
        except Exception as error:  # whatever it is, this connection cannot be used
            raise DisconnectionError("the connection is broken") from error
        return bool(answer == "on")

    def _on_error(self, context: ExceptionContext) -> None:
        """Decide whether a connection may be used after an error.

        The server's own errors leave it as it was, unless the server is read-only; then the pool is
        to leave. After any other error it is not known what the connection would answer next.
        """
        error = context.original_exception
        if context.connection is None or not isinstance(error, Exception) or is_data_error(error):
            return
        if is_read_only(error):
            self.invalidate()
            context.is_disconnect = True
        elif sqlstate(error) is None:
            context.is_disconnect = True
