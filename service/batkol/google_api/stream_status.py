"""The status that one of Google's streams ended with.

grpc.aio forgets it when a message is on its way at that moment: the write that fails then overwrites the status with
INTERNAL, "Internal error from Core" (`set_internal_error`, grpc/aio/_call.py), and a quota or a wrong name looks like
a fault on the way, to be tried again. So the status is taken down the moment it comes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import grpc

from batkol.google_api.error_info import ErrorInfo, of_trailers


class StreamStatus:
    """The status of one stream; made before the stream is used."""

    __slots__ = ("info", "status")

    def __init__(self, stream: Any) -> None:
        self.status: tuple[grpc.StatusCode, str] | None = None
        """The status that came, and its text; None before."""
        self.info: ErrorInfo | None = None
        """Google's own word for a refusal, where the status had one."""
        stream.add_done_callback(self._note)

    def failure(self, raised: BaseException) -> tuple[grpc.StatusCode, str] | None:
        """Return the status behind what the stream raised, None if it was none of Google's."""
        if not isinstance(raised, grpc.RpcError):
            return None
        if self.status is not None and self.status[0] is not grpc.StatusCode.OK:
            return self.status
        if isinstance(raised, grpc.aio.AioRpcError):
            return raised.code(), raised.details() or ""
        return None

    def _note(self, stream: Any) -> None:
        self.status = _at_once(stream.code()), _at_once(stream.details()) or ""
        self.info = of_trailers(_at_once(stream.trailing_metadata()))


def _at_once(answer: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for: the status is there."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value
    answer.close()
    raise AssertionError("a stream that is done has a status")
