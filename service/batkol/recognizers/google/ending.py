"""The end of a stream, by the status that Google sent.

grpc.aio forgets it when audio is on its way at that moment: the write that fails then overwrites the status with
INTERNAL, "Internal error from Core" (`set_internal_error`, grpc/aio/_call.py), and a quota or a wrong model looks like
a fault on the way, to be tried again. So the status is taken down the moment it comes.
"""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import grpc

from batkol.recognizers.google.errors import SpeechError, ended, translate


class StreamEnding:
    """The end of one stream; made before the stream is used."""

    __slots__ = ("status",)

    def __init__(self, stream: Any) -> None:
        self.status: tuple[grpc.StatusCode, str] | None = None
        """The status that came, and its text; None before."""
        stream.add_done_callback(self._note)

    def error(self, raised: BaseException) -> SpeechError:
        """Translate what the stream raised; the status it ended with knows better."""
        if self.status is None or self.status[0] is grpc.StatusCode.OK or not isinstance(raised, grpc.RpcError):
            return translate(raised)
        return ended(*self.status)

    def _note(self, stream: Any) -> None:
        self.status = _at_once(stream.code()), _at_once(stream.details()) or ""


def _at_once(answer: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for: the status is there."""
    try:
        answer.send(None)
    except StopIteration as done:
        return done.value
    answer.close()
    raise AssertionError("a stream that is done has a status")
