"""Dead letters: records that the database refuses, kept in a file and logged, so that later records are written.

They are callers' words, so the file has the rules of all records: it is bounded, and retention and erasure reach it.
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

from batkol.store.journal.records import AnyRecord, decode

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
        self.lost = 0
        """Records that were to be set aside since the start, and could not be."""

    def add(self, number: int, payload: bytes, why: str) -> None:
        """Set a record aside. Raises `OSError`: it is not kept, and another attempt may keep it.

        Where the file is full no attempt would, so the record is lost, counted and logged.
        """
        line = msgspec.json.encode({"number": number, "why": why, "record": base64.b64encode(payload).decode()})
        with self._alone:
            if self.path.exists() and self.path.stat().st_size + len(line) > MOST_BYTES:
                self.lose(number, f"{self.path} is full")
                return
            self._append(line)
        self.count += 1
        log.error(
            "[STORE] database refuses a record; it is kept aside, the others are written",
            record=number,
            why=why,
            file=str(self.path),
        )

    def lose(self, number: int, why: str) -> None:
        """Count and log a record that cannot be set aside, so that those behind it go on."""
        self.lost += 1
        log.error(
            "[STORE] database refuses a record, and the journal cannot keep it: the record is LOST",
            record=number,
            err=why,
        )

    def _append(self, line: bytes) -> None:
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
