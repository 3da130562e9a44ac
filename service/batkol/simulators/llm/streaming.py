"""One answer on its way to the client: paced, watched for the client's leaving, and spoilt where a fault says so."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from batkol.simulators.llm.completion import Completion, event
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.records import RequestOutcome, RequestRecord
from batkol.simulators.llm.refusals import usual
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.wire import DoubleConnection, chunk

_FLOOD = 256 << 20  # bytes, so that a test that fails ends


class LeftError(Exception):
    """The client has left, and the double has noticed it."""


class PacedAnswer:
    """One answer. `clock` is in seconds; the record's times are its own."""

    def __init__(
        self,
        connection: DoubleConnection,
        record: RequestRecord,
        completion: Completion,
        *,
        settings: LLMSettings,
        fault: LLMFault | None,
        clock: Callable[[], float],
    ) -> None:
        self._connection = connection
        self._record = record
        self._completion = completion
        self._settings = settings
        self._fault = fault
        self._clock = clock
        self._left: asyncio.Task[None] | None = None

    async def run(self, begins_at: float) -> bool:
        """Send the answer, whose first token is due then; return whether the connection can have another request."""
        left = self._left = asyncio.create_task(self._watch(), name="llm_double.left")
        record = self._record
        try:
            if self._completion.request.stream:
                reusable = await self._stream(begins_at)
            else:
                reusable = await self._whole(begins_at)
        except LeftError:
            record.outcome = RequestOutcome.CANCELLED
            return False
        finally:
            left.cancel()
            await asyncio.wait([left])
        if record.outcome is RequestOutcome.OPEN:
            record.outcome = RequestOutcome.FINISHED
        return reusable

    async def _watch(self) -> None:
        await self._connection.left()
        self._record.cancelled_at = self._clock()

    async def _until(self, due: float) -> None:
        """Wait. Raises `LeftError` once the client's leaving is noticed, which is `notice_ms` after it."""
        record, notice_s = self._record, self._settings.notice_ms / 1000
        while True:
            now = self._clock()
            noticed = math.inf if record.cancelled_at is None else record.cancelled_at + notice_s
            if now >= noticed:
                raise LeftError
            if now >= due:
                return
            if record.cancelled_at is not None or self._left is None:
                await asyncio.sleep(min(due, noticed) - now)
            else:
                await asyncio.wait([self._left], timeout=None if due == math.inf else due - now)

    async def _whole(self, begins_at: float) -> bool:
        completion = self._completion
        if self._fault is not None and not await self._spoil_whole(self._fault):
            return False
        await self._until(self._due(begins_at, len(completion.tokens)))
        self._record.status = 200
        self._note_tokens("".join(completion.tokens), len(completion.tokens))
        await self._connection.answer(200, completion.whole(), self._headers())
        return True

    async def _stream(self, begins_at: float) -> bool:
        completion = self._completion
        if (
            (fault := self._fault) is not None
            and fault.after_tokens == 0
            and fault.kind in {LLMFaultKind.STALL, LLMFaultKind.CUT}
        ):
            self._fault = None
            if not await self._spoil(fault):
                return False
        await self._comments(begins_at)
        await self._until(begins_at)
        await self._begin()
        await self._send(completion.first())
        for at, (text, part) in enumerate(completion.parts()):
            if not await self._spoil_after(at):
                return False
            await self._until(self._due(begins_at, at))
            await self._send(part)
            if text:
                self._note_tokens(text, 1)
        if not await self._spoil_after(None):
            return False
        for each in completion.last(null_content=self._settings.null_content):
            await self._send(each)
        await self._send(b"data: [DONE]\n\n")
        await self._connection.end()
        return True

    async def _spoil_after(self, tokens: int | None) -> bool:
        """Let the fault happen that is due after so many tokens, or after all; return whether the answer goes on."""
        fault = self._fault
        if fault is None or (tokens is not None and tokens < fault.after_tokens):
            return True
        self._fault = None
        return await self._spoil(fault)

    async def _spoil(self, fault: LLMFault) -> bool:
        connection = self._connection
        if fault.kind is LLMFaultKind.STALL:
            await self._until(math.inf if fault.lasts_s is None else self._clock() + fault.lasts_s)
            return True
        self._record.outcome = RequestOutcome.FAULTED
        match fault.kind:
            case LLMFaultKind.CUT:
                connection.cut()
            case LLMFaultKind.ERROR:
                await self._send(event(usual(fault.status, fault.code).body))
                await connection.end()
            case LLMFaultKind.NONSENSE:
                await self._send(b'data: {"choices": [{"delta": {"content": "\xd7\n\n')
                await connection.end()
            case LLMFaultKind.UNFINISHED:
                await connection.end()
            case LLMFaultKind.FLOOD:
                await self._flood()
            case _:
                raise AssertionError(f"{fault.kind} is none of the stream's faults")
        return False

    async def _spoil_whole(self, fault: LLMFault) -> bool:
        if fault.kind in {LLMFaultKind.STALL, LLMFaultKind.CUT}:
            return await self._spoil(fault)
        raise usual(fault.status, fault.code)

    async def _flood(self) -> None:
        words = "לה " * 20
        sent = 0
        while sent < _FLOOD:
            await self._until(0.0)
            piece = self._completion.token(words)
            await self._send(piece)
            await asyncio.sleep(0)
            self._note_tokens(words, 20)
            sent += len(piece)

    def _due(self, begins_at: float, at: int) -> float:
        pace = self._settings.tokens_per_s
        return begins_at + at / pace if pace else begins_at

    async def _comments(self, begins_at: float) -> None:
        every_s = self._settings.comments_every_ms / 1000
        if every_s:
            await self._begin()
            while (now := self._clock()) < begins_at:
                await self._send(b": processing\n\n")
                await self._until(min(begins_at, now + every_s))

    async def _begin(self) -> None:
        if not self._record.status:
            self._record.status = 200
            await self._connection.begin(self._headers())

    def _headers(self) -> dict[str, str]:
        return {"x-request-id": f"req_{self._record.number:024d}", "openai-processing-ms": "1"}

    async def _send(self, content: bytes) -> None:
        whole = chunk(content)
        if self._settings.ragged:
            middle = len(whole) // 2
            await self._connection.write(whole[:middle])
            await asyncio.sleep(0)
            whole = whole[middle:]
        await self._connection.write(whole)

    def _note_tokens(self, text: str, count: int) -> None:
        record = self._record
        if record.first_token_at is None:
            record.first_token_at = self._clock()
        record.sent_tokens += count
        record.text += text
        if record.cancelled_at is not None:
            record.sent_after_cancel += count
