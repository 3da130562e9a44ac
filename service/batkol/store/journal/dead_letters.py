"""Records that no database would take: set aside in a file, loudly, so that those behind them go on.

They are what callers said, so the file goes the way of the rest: it is bounded, and retention and erasure reach it.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog

from batkol.store.records import AnyRecord, decode

MOST_BYTES: Final = 16 << 20
"""Size up to which the file grows; what comes then is counted and not kept."""

log = structlog.get_logger()


class DeadLetters:
    """One file, a JSON line for each record. Blocks; for the journal's thread or one like it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "dead-letters.jsonl"
        self._alone = threading.Lock()
        self.count = 0
        """Records set aside since the start."""

    def add(self, number: int, payload: bytes, why: str) -> None:
        """Set a record aside. Raises nothing: the log has at least that there was one."""
        self.count += 1
        log.error(
            "[STORE] a record that the database refuses is set aside; the rest goes on",
            record=number,
            why=why,
            file=str(self.path),
        )
        line = msgspec.json.encode({"number": number, "why": why, "record": base64.b64encode(payload).decode()})
        try:
            with self._alone:
                self._append(line, number)
        except OSError as error:
            log.error("[STORE] a refused record could not be set aside, and is lost", record=number, err=str(error))

    def _append(self, line: bytes, number: int) -> None:
        if self.path.exists() and self.path.stat().st_size + len(line) > MOST_BYTES:
            log.error("[STORE] the file of refused records is full; this one is lost", record=number)
            return
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(line + b"\n")

    def sweep(self, is_to_go: Callable[[AnyRecord | None], bool]) -> int:
        """Leave out the records that are to go (None: one that cannot be read); returns how many went."""
        with self._alone:
            return self._sweep(is_to_go)

    def _sweep(self, is_to_go: Callable[[AnyRecord | None], bool]) -> int:
        if not self.path.exists():
            return 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not is_to_go(_record(line))]
        if len(kept) < len(lines):
            fresh = self.path.with_suffix(".new")
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.writelines(kept)
            fresh.replace(self.path)
        return len(lines) - len(kept)


def _record(line: bytes) -> AnyRecord | None:
    try:
        found: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        return decode(base64.b64decode(found["record"]))
    except (msgspec.DecodeError, ValueError, KeyError):
        return None
