"""The place of the flag's definition: set for a rehearsal, and put back afterwards.

A rehearsal on a service with callers must not touch them, so the flag is set for the rehearsal's own calls, by their
SIDs, in front of the flag's own rules; for all calls only with `--all-calls`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from batkol.errors import BatkolError
from batkol.gonogo.flipping import flipped
from batkol.gonogo.kept import Kept
from batkol.live.flag_definitions import STREAMING_FLAG
from batkol.live.regular_file import read_regular
from batkol.live.source import FLAGS, LARGEST
from batkol.live.strict_document import content_revision


class FlagStoreError(BatkolError):
    """The place of the flag cannot be read or written; the text names the remedy."""


class FlagStore(Protocol):
    """One place that holds `streaming-stt`."""

    @property
    def where(self) -> str:
        """The place, for people."""
        ...

    @property
    def kept(self) -> Path | None:
        """A file with what was there before the first `set`, until it is put back."""
        ...

    async def set(self, *, streaming: bool) -> str:
        """Set the flag and return the revision by which the service will know that it has it.

        Raises `FlagNotFlippableError`, `FlagStoreError`.
        """
        ...

    async def restore(self) -> None:
        """Put back exactly what was there before the first `set`; without one, do nothing.

        Raises `FlagStoreError`. Do not cancel it.
        """
        ...


class LiveDirectory:
    """`flags.json` in the directory that a service watches (`LIVE_SOURCE=file:PATH`).

    `only_calls`: the SIDs of the calls to set the flag for; None sets it for every call.
    """

    def __init__(self, path: str | Path, *, only_calls: Sequence[str] | None, keeps: bool = True) -> None:
        """`keeps`: whether a copy of the file is kept until it is put back."""
        path = Path(path)
        self._file = (path if path.name == FLAGS else path / FLAGS).resolve()  # a link stays: its target is replaced
        self._only_calls = only_calls
        self._original: bytes | None = None
        self._mode = 0o644
        self._written = b""
        self._keeps = keeps
        self._kept = Kept()

    @property
    def kept(self) -> Path | None:
        """See `FlagStore.kept`."""
        return self._kept.path

    @property
    def where(self) -> str:
        """The file."""
        return str(self._file)

    async def set(self, *, streaming: bool) -> str:
        """See `FlagStore.set`. One write, by rename: no reader meets half a file."""
        if self._original is None:
            original, self._mode = self._read()
        else:
            original = self._original
        self._written = flipped(original, streaming=streaming, only_calls=self._only_calls)
        if self._keeps:
            self._kept.keep(original)
        self._original = original
        self._replace(self._written)
        return content_revision(self._written)

    async def restore(self) -> None:
        """See `FlagStore.restore`. A change that another program made meanwhile stays, and is reported."""
        if self._original is None:
            return
        original, self._original = self._original, None
        try:
            self._put_back(original)
        except FlagStoreError as error:
            raise FlagStoreError(f"{error} {self._kept.hint}".strip()) from error
        self._kept.drop()

    def _put_back(self, original: bytes) -> None:
        if (now := self._read()[0]) == original:
            return
        if now != self._written:
            raise FlagStoreError(
                f"Another program changed {self._file} during the rehearsal, so the rehearsal left it as it is now. "
                f"Check the value of {STREAMING_FLAG} there: the rehearsal had set it."
            )
        self._replace(original)

    def _read(self) -> tuple[bytes, int]:
        try:
            return read_regular(self._file, LARGEST + 1), self._file.stat().st_mode & 0o777
        except OSError as error:
            raise FlagStoreError(
                f"{self._file} cannot be read ({type(error).__name__}). Give the directory of the service's "
                "LIVE_SOURCE with --live-dir, and run the command on a machine that has that directory."
            ) from error

    def _replace(self, content: bytes) -> None:
        beside = None
        try:
            with tempfile.NamedTemporaryFile(dir=self._file.parent, prefix=".flags.", delete=False) as file:
                beside = Path(file.name)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(self._mode)
            beside.replace(self._file)
        except OSError as error:
            if beside is not None:
                with suppress(OSError):
                    beside.unlink()
            raise FlagStoreError(
                f"{self._file} cannot be written ({type(error).__name__}). A mounted ConfigMap is read-only: run the "
                "command where the file can be written."
            ) from error
