"""A streaming recognizer of the process: its name, its traits, and how a stream of it is connected."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from batkol.recognizers.streaming.connection import StreamConnection
from batkol.recognizers.streaming.traits import Traits


class StreamingRecognizer(Protocol):
    """One per process and name; shared by all calls, on one event loop."""

    @property
    def name(self) -> str:
        """The vendor's API and the model as configured, such as `google-v1/default` or `soniox/stt-rt-v5`.

        It labels metrics, traces, status and events, and is what the flag `recognizer` gives.
        """
        ...

    @property
    def vendor(self) -> str:
        """The vendor's name, for people: `Google`."""
        ...

    @property
    def endpoint(self) -> str:
        """The host that it is asked at, for traces and status; never with a secret."""
        ...

    @property
    def model(self) -> str:
        """The model that the next stream asks for."""
        ...

    @property
    def traits(self) -> Traits: ...

    @property
    def reasons(self) -> Sequence[str]:
        """The reasons of its error table, for metrics that begin at zero."""
        ...

    @property
    def streams(self) -> int:
        """Streams that are open or being opened."""
        ...

    def connect(self) -> AbstractAsyncContextManager[StreamConnection]:
        """Open a connection, to which audio can be written at once; leaving it closes it.

        Bounded by the adapter (5 s). Entering raises `SpeechError`: `NO_STREAM_FREE` with `Next.COOL_OFF` if this
        process holds as many streams as it may, and nothing was asked of the vendor then. Cancelling the entering
        leaves no connection behind. Leaving returns at once, or within a moment: no last result is waited for.
        """
        ...

    def give_up_model(self, model: str, why: str) -> bool:
        """The vendor lacks that model for the language (`Next.REMODEL`): use another one for all calls from now on.

        Logs that once. Returns False if there is no other model: the refusal is then as any other.
        """
        ...

    async def check(self) -> None:
        """Ask the vendor whether it takes our requests, at the cost of a moment of silence. Bounded; raises
        `SpeechError`. No call asks here: the health check does, at the start and while the recognizer is refused."""
        ...
