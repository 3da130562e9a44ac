"""Whole tables as CSV and as JSON Lines, written as they are read.

CSV goes into spreadsheets, which take a cell that begins with one of `=+-@` for a formula, and callers' words are
free text: such a cell gets an apostrophe in front (OWASP, CSV injection). A plus and digits alone are left as they
are: that is a telephone number, and as a formula it is the same number. JSON Lines has everything exactly as it is
stored.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

import msgspec
import structlog
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Send

from batkol.store.postgres.faults import DB_ERRORS, error_name
from batkol.store.postgres.reading import chunks
from batkol.store.postgres.remedies import remedy_of
from batkol.web.access import Reader
from batkol.web.errors import RETRY_AFTER_S, refusal
from batkol.web.history_redaction import shown

TAKING_S: Final = 30.0
"""Seconds that a reader has for a chunk; then it is cut off, because it holds a connection of the pool."""

LEAST_A_SECOND: Final = 64 << 10
"""Bytes that a reader must take, on average over the export, once it has used up `TAKING_S`. A reader that takes a
little now and then holds a turn and a connection of the pool as well."""

AT_ONCE: Final = 2
"""Exports that may go on at once: the pages of the API need connections, too."""

_SKIPPED: Final = r"[\s\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
"""Characters that spreadsheets skip at the beginning of a cell: white space, control and format characters, BOMs."""

_FORMULA: Final = re.compile(rf"\A(?:[\t\r\n]|{_SKIPPED}[=+\-@＝＋－＠])")
_FORMULA_INSIDE: Final = re.compile(rf"([;\t\r\n]{_SKIPPED})([=+\-@＝＋－＠])")
"""A formula for those whose spreadsheet divides cells at a semicolon, a tab or a line break."""

_NUMBER: Final = re.compile(r"\+[0-9]{1,20}", re.ASCII)

log = structlog.get_logger()

Encode = Callable[[Sequence[RowMapping]], bytes]


class Form(StrEnum):
    """Formats of an export; the path of an export ends in one."""

    CSV = "csv"
    JSONL = "jsonl"

    @property
    def media_type(self) -> str:
        """RFC 4180; JSON Lines has no registered type."""
        return "text/csv; charset=utf-8" if self is Form.CSV else "application/jsonl"


class ExportFile(NamedTuple):
    """A file for a client: the file's name without its ending, its format, and the client."""

    name: str
    form: Form
    reader: Reader


class ExportSlots:
    """The turns of exports: who may export now."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._left = at_once

    def __enter__(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def __exit__(self, *_: object) -> None:
        self._left += 1


class _SlowReaderError(Exception):
    """The reader takes nothing, or too little."""


class _ReaderProgress:
    """The bytes that one reader got, and the time that they waited for it, without the database's time."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.bytes = 0
        self._waited = 0.0  # seconds

    async def give(self, body: bytes) -> None:
        """Write a part of the body. Raises `_SlowReaderError` when the reader has had time enough."""
        begun = self._loop.time()
        left = TAKING_S + self.bytes / LEAST_A_SECOND - self._waited
        try:
            async with asyncio.timeout(min(TAKING_S, left)):
                await self._send({"type": "http.response.body", "body": body, "more_body": True})
        except TimeoutError:
            raise _SlowReaderError from None
        self._waited += self._loop.time() - begun
        self.bytes += len(body)


class Export(StreamingResponse):
    """The rows of a statement. The status waits for the first of them, so a database that is away is a 503.

    Whatever goes wrong later ends the connection without the last chunk, which no client takes for the end of a file.
    A reader who leaves gives the connection back.
    """

    def __init__(self, engine: AsyncEngine, statement: Select[Any], file: ExportFile, turns: ExportSlots) -> None:
        headers = {
            "Content-Disposition": f'attachment; filename="{file.name}.{file.form}"',
            "Cache-Control": "no-store",
        }
        super().__init__((), media_type=file.form.media_type, headers=headers)
        self._engine = engine
        self._statement = statement
        self._turns = turns
        self._head, self._encode = _written_as(file, [column.name for column in statement.selected_columns])
        self._begun = False

    async def stream_response(self, send: Send) -> None:
        with self._turns as turn:
            if not turn:
                await _answer(send, _busy())
                return
            given = _ReaderProgress(send)
            try:
                await self._write(send, given)
            except _SlowReaderError:
                log.warning(
                    "[API] an export was cut off: its client takes too little, and others wait for its turn",
                    taken_bytes=given.bytes,
                    remedy="read the export faster, or ask for less with `since`, `agent` or `number`",
                )
            except DB_ERRORS as error:
                if not self._begun:
                    await _answer(send, refusal(error))
                    return
                fault = error_name(error)
                log.warning(
                    "[API] export failed before its end; its connection is closed", fault=fault, remedy=remedy_of(fault)
                )

    async def _write(self, send: Send, given: _ReaderProgress) -> None:
        async with chunks(self._engine, self._statement) as read:
            none: list[RowMapping] = []  # and no tuple: CPython 3.11 takes one for the arguments of StopIteration
            first = await anext(read, none)
            self._begun = True
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await given.give(self._head + self._encode(first))
            async for rows in read:
                await given.give(self._encode(rows))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _answer(send: Send, answer: JSONResponse) -> None:
    await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


def _busy() -> JSONResponse:
    detail = f"This pod already runs {AT_ONCE} exports; ask again."
    return JSONResponse({"detail": detail}, 503, {"Retry-After": str(RETRY_AFTER_S)})


def _written_as(file: ExportFile, names: Sequence[str]) -> tuple[bytes, Encode]:
    def seen(rows: Sequence[RowMapping]) -> Iterable[dict[str, Any]]:
        return (shown(row, file.reader) for row in rows)

    if file.form is Form.CSV:
        return _csv_lines([names]), lambda rows: _csv_lines([_cell(row[name]) for name in names] for row in seen(rows))
    return b"", lambda rows: b"".join(msgspec.json.encode(row) + b"\n" for row in seen(rows))


def _csv_lines(lines: Any) -> bytes:
    written = io.StringIO()
    csv.writer(written).writerows(lines)
    return written.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = msgspec.json.encode(value).decode()
    if isinstance(value, str):
        return value if _NUMBER.fullmatch(value) else _as_text(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def _as_text(value: str) -> str:
    """Put an apostrophe before what a spreadsheet would take for a formula."""
    mark = "'" if _FORMULA.match(value) else ""
    return mark + _FORMULA_INSIDE.sub(r"\1'\2", value)
