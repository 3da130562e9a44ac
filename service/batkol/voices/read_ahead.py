"""The next piece of a reply, read while the one before is spoken, so that a voice knows early that it is the last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable


class ReadAhead:
    """One piece is read in advance. `on_change` is called when it is there, and at the end of the pieces."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._text: str | None = None
        self._error: BaseException | None = None
        self._pieces: AsyncIterator[str] | None = None
        self._reading: asyncio.Task[None] | None = None
        self.ended = False
        """Whether there is no further piece."""

    def start(self, pieces: AsyncIterator[str]) -> None:
        """Begin to read."""
        self._pieces = pieces
        self._read_next(pieces)

    @property
    def known(self) -> bool:
        """Whether `take` has an answer."""
        return self._text is not None or self.ended or self._error is not None

    def take(self) -> str | None:
        """Return the next piece, None after the last one; call it when `known`. Raises what the iterator raised."""
        text, self._text = self._text, None
        if text is None and self._error is not None:
            raise self._error
        if text is not None and self._pieces is not None:
            self._read_next(self._pieces)
        return text

    async def close(self) -> None:
        """End the reading. The iterator stays its owner's."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    def _read_next(self, pieces: AsyncIterator[str]) -> None:
        self._reading = asyncio.create_task(self._read(pieces), name="voice.read")

    async def _read(self, pieces: AsyncIterator[str]) -> None:
        try:
            self._text = await anext(pieces)
        except StopAsyncIteration:
            self.ended = True
        except BaseException as error:
            self._error = error  # raised where the pieces were handed in
            if not isinstance(error, Exception):
                raise
        finally:
            self._on_change()
