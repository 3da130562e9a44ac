"""Check that a stream which Twilio alone vouches for may take a call over from an open stream.

Twilio's word is that the call is in progress, which a stranger may know as well. Twilio feeds one stream of a call:
so the newer one is Twilio's if the older one has ended, or is silent. While the older one still hears the caller, the
newer one waits, and then is refused.
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from batkol.web.proof import ProofFault, UnprovenError

WITHIN_S: Final = 2.0
"""Seconds that a newer stream waits. Twilio stops the older one about when it opens the newer one."""
SILENT_S: Final = 1.0
"""Seconds without a media message after which a stream is not Twilio's any more; it sends fifty a second."""
_LOOK_S: Final = 0.05


class OccupiedError(UnprovenError):
    """Another stream of the call goes on hearing the caller."""

    def __init__(self) -> None:
        super().__init__(
            "Another stream of this call is open and hears the caller, so the new one is not Twilio's: its client "
            "knows a call SID and no secret. The service closes the new stream, and the call goes on. If your TwiML "
            "opens two streams at once, give them the parameter `secret` (STREAM_SECRET).",
            reason=ProofFault.OCCUPIED,
        )


class OpenStream(Protocol):
    """A stream of a call."""

    @property
    def ended_by(self) -> str:
        """Empty while its audio is not over."""
        ...

    @property
    def frames(self) -> int:
        """Media messages so far."""
        ...


class OpenStreams(Protocol):
    """The streams of all calls."""

    def get(self, call_sid: str) -> OpenStream | None:
        """Return the newest stream of the call."""
        ...


async def is_free(streams: OpenStreams, call_sid: str) -> bool:
    """Wait until the call has no open stream, or a silent one; return false if that takes longer than `WITHIN_S`."""
    clock = asyncio.get_running_loop().time
    begun = silent_since = clock()
    older, frames = streams.get(call_sid), -1
    while older is not None and not older.ended_by:
        now = clock()
        if older.frames != frames:
            frames, silent_since = older.frames, now
        elif now - silent_since >= SILENT_S:
            break
        if now - begun >= WITHIN_S:
            return False
        await asyncio.sleep(_LOOK_S)
    return True
