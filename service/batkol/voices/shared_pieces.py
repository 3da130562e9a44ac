"""The pieces of one reply for several readers, one after the other: what one has read, the next one can read again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable


class SharedPieces:
    """Reads the source one piece at a time, when a reader wants one. A reader that is cancelled costs no piece."""

    def __init__(self, source: AsyncIterator[str]) -> None:
        self._source = source
        self._texts: list[str] = []
        self._ended = False
        self._error: BaseException | None = None
        self._reading: asyncio.Task[None] | None = None

    async def since(self, first: int, on_given: Callable[[int], None] | None = None) -> AsyncGenerator[str, None]:
        """Yield the pieces from that number on. `on_given` is called with the number of each before it is yielded.

        Raises what the source raised. Cancelling the wait for a piece loses nothing.
        """
        number = first
        while await self._has(number):
            if on_given is not None:
                on_given(number)
            yield self._texts[number]
            number += 1

    async def close(self) -> None:
        """End the reading. The source stays its owner's."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))

    async def _has(self, number: int) -> bool:
        while number >= len(self._texts):
            if self._error is not None:
                raise self._error
            if self._ended:
                return False
            if self._reading is None or self._reading.done():
                self._reading = asyncio.create_task(self._read(), name="voice.pieces")
            await asyncio.wait((self._reading,))
        return True

    async def _read(self) -> None:
        try:
            self._texts.append(await anext(self._source))
        except StopAsyncIteration:
            self._ended = True
        except BaseException as error:
            self._error = error  # raised where the pieces were handed in
            if not isinstance(error, Exception):
                raise
