"""The seam to the voices: pieces of text in, 8 kHz mu-law out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, runtime_checkable

import msgspec

from batkol.errors import UpstreamError


class VoiceSound(msgspec.Struct, frozen=True):
    """A stretch of speech: mu-law at 8000 Hz without a header, of any length."""

    mulaw: bytes
    piece: int
    """The number of the piece of text that it speaks, from 0; never falls."""
    last: bool = False
    """Whether it is the last one of that piece. It may be empty. A piece that broke off has none."""
    word_ends: tuple[int, ...] = ()
    """The ends of words of the piece, in samples since the piece's first one, as far as the voice knows.

    Each `VoiceSound` has the ends of the words that end in it. A voice that knows them gives one for each word of the
    piece as `str.split` has them, and one that is not spoken (`—`) ends with the word before it. Others give none."""
    voice: str = ""
    """The name of the voice that speaks it, where it is not the one that was asked, but one behind it."""


class VoiceError(UpstreamError):
    """The voice gave no sound, or no more of it. `reason` is a short word for metrics."""


class Voice(Protocol):
    """One for the process; used by many calls at once."""

    @property
    def name(self) -> str:
        """The name in settings, metrics and events."""
        ...

    def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """Yield the sound of each piece, in order, as early as it is there.

        A piece is a sentence or a part of one that can be spoken alone. The voice may read the next one while it
        speaks. Closing the generator cancels what is under way. Raises `VoiceError`; what was yielded before stands.
        What the iterator of pieces raises goes through. The iterator stays its owner's, who also closes it.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class ConnectedVoice(Voice, Protocol):
    """A voice behind a connection, which can be opened before the first caller needs it."""

    async def warm_up(self) -> None:
        """Open a connection, and have the credentials tried. Cancelling it loses nothing.

        Raises `VoiceError` for a voice that cannot be reached or cannot speak.
        """
        ...
