"""A strict double of OpenAI's chat completions, with published times to the first token, scripted answers and faults.

    async with LLMDouble(LLMSettings(profile="gpt-4.1")) as double:
        url = await double.start()                       # http://127.0.0.1:PORT/v1
        double.script(Rule("תור", "מחר בעשר."))
        double.inject(LLMFault(kind=LLMFaultKind.STALL, after_tokens=3))
        double.records[-1].cancelled_at, double.records[-1].sent_after_cancel

`POST /v1/chat/completions`, `GET /v1/models`, `GET /v1/models/NAME`; from another process it is steered over HTTP
(`control`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from batkol.simulators.double import Double
from batkol.simulators.fault_book import FirstFaultBook
from batkol.simulators.llm.answers import Rule, answer_to, tokens
from batkol.simulators.llm.completion import Completion
from batkol.simulators.llm.control import CONTROL, route
from batkol.simulators.llm.faults import LLMFault, LLMFaultKind
from batkol.simulators.llm.profiles import PROFILES, profile
from batkol.simulators.llm.records import Records, RequestOutcome, RequestRecord
from batkol.simulators.llm.refusals import ChatRefusalError, usual
from batkol.simulators.llm.requests import read
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.streaming import PacedAnswer
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from batkol.simulators.llm.vocabulary import vocabulary
from batkol.simulators.llm.wire import DoubleConnection, Request, WireError

_OWNER = "batkol"
_CREATED = 1_700_000_000


class LLMDouble(Double):
    """The double in this process. Leaving the context stops it and cuts what is under way. `clock` is in seconds."""

    def __init__(self, settings: LLMSettings | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings or LLMSettings()
        self._clock = clock
        self._rules: tuple[Rule, ...] = ()
        self._book = FirstFaultBook[LLMFault]()
        self._records = Records()
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._serving: dict[asyncio.Task[None], DoubleConnection] = {}

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL, which ends in `/v1`. Raises `OSError` if the port is taken."""
        vocabulary()  # takes a while the first time, which is no part of a model's time
        self._server = await asyncio.start_server(self._accept, host, port)
        return f"http://{host}:{self._server.sockets[0].getsockname()[1]}/v1"

    async def stop(self) -> None:
        """Cut all connections, and close the port."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for task, connection in list(self._serving.items()):
                connection.cut()
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            await server.wait_closed()

    # Control

    @property
    def records(self) -> list[RequestRecord]:
        """The newest requests for a completion, in their order."""
        return list(self._records.newest)

    def script(self, *rules: Rule) -> None:
        """Answer by these rules from now on, and by default where none fits."""
        self._rules = rules

    def rules(self) -> Sequence[Rule]:
        """Return the rules in force."""
        return self._rules

    def inject(self, *faults: LLMFault) -> None:
        """Put faults in force, for requests that come from now on."""
        self._book.inject(*faults)

    def clear(self) -> None:
        """Requests to come are spared."""
        self._book.clear()

    def faults(self) -> list[LLMFault]:
        """Return the faults in force."""
        return self._book.faults()

    def reset(self) -> None:
        """Forget faults, rules and records; requests are counted from one again."""
        self._book.clear()
        self._rules = ()
        self._records = Records()

    def stats(self) -> dict[str, Any]:
        """Return totals and one record a request, as plain JSON types."""
        return self._records.summary()

    # The wire

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection = DoubleConnection(reader, writer, self._connections)
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a server's callback runs in a task")
        self._serving[task] = connection
        try:
            while (request := await connection.request()) is not None and await self._serve(connection, request):
                pass
        except WireError as error:
            refusal = ChatRefusalError(str(error), status=error.status)
            await connection.answer(refusal.status, refusal.body, {"Connection": "close"})
        except asyncio.CancelledError:
            if self._server is not None:
                raise
        finally:
            del self._serving[task]
            connection.close()

    async def _serve(self, connection: DoubleConnection, request: Request) -> bool:
        """Answer a request; return whether the connection can have another one."""
        if request.path.startswith(CONTROL):
            status, body = route(request.method, request.path.removeprefix(CONTROL), request.body, self)
            await connection.answer(status, body)
            return True
        try:
            self._check_key(request.headers.get("authorization", ""))
            if request.path == "/v1/chat/completions" and request.method == "POST":
                return await self._complete(connection, request)
            await connection.answer(200, self._list(request))
        except ChatRefusalError as refusal:
            await connection.answer(refusal.status, refusal.body)
        return True

    def _check_key(self, authorization: str) -> None:
        wanted = self.settings.api_key
        if wanted and not authorization:
            raise ChatRefusalError("You didn't provide an API key. Send it as `Authorization: Bearer KEY`.", status=401)
        if wanted and authorization != f"Bearer {wanted}":
            raise usual(401)

    def _list(self, request: Request) -> Any:
        models = self.settings.models or tuple(PROFILES)
        listed = [{"id": name, "object": "model", "created": _CREATED, "owned_by": _OWNER} for name in models]
        if request.path == "/v1/models" and request.method == "GET":
            return {"object": "list", "data": listed}
        for each in listed:
            if request.path == f"/v1/models/{each['id']}" and request.method == "GET":
                return each
        if request.path == "/v1/chat/completions":
            raise ChatRefusalError(f"Not allowed to {request.method} on /v1/chat/completions.", status=405)
        raise ChatRefusalError(f"Invalid URL ({request.method} {request.path})", status=404)

    async def _complete(self, connection: DoubleConnection, request: Request) -> bool:
        record = self._records.begin(connection.number, self._clock())
        try:
            return await self._answer(connection, request, record)
        except ChatRefusalError as refusal:
            record.status, record.outcome = refusal.status, RequestOutcome.REFUSED
            await connection.answer(refusal.status, refusal.body)
            return True
        finally:
            record.ended_at = self._clock()

    async def _answer(self, connection: DoubleConnection, request: Request, record: RequestRecord) -> bool:
        chat = read(request.body, self.settings.models)
        record.model, record.stream, record.messages = chat.model, chat.stream, chat.messages
        record.tools, record.includes_usage = chat.tools, chat.include_usage
        if self.settings.refuses_usage and chat.include_usage:
            raise ChatRefusalError(
                "Unknown parameter: 'stream_options'.", param="stream_options", code="unknown_parameter"
            )
        fault = self._book.take(chat.text)
        if fault is not None and fault.kind is LLMFaultKind.REFUSE:
            raise usual(fault.status, fault.code)
        draw = random.Random(f"{self.settings.seed}/{record.number}")
        begins_at = record.received_at + profile(self.settings.profile, chat.model).draw_s(draw)
        rule = answer_to(chat.text, self._rules, draw, chat.result)
        whole = tokens(rule.answer, draw)
        given = whole[: chat.most_tokens]
        calls: tuple[ScriptedCall, ...] = () if len(given) < len(whole) else rule.calls
        reason = "length" if len(given) < len(whole) else "tool_calls" if calls else "stop"
        if Untidy.STOP in rule.untidy:
            reason = "stop"
        if fault is not None and fault.kind is LLMFaultKind.EMPTY:
            given, calls, reason, fault = [], (), "stop", None
        elif fault is not None and fault.kind is LLMFaultKind.FILTERED:
            given, calls, reason, fault = given[: fault.after_tokens], (), "content_filter", None
        completion = Completion(chat, record.number, given, calls, rule.untidy, reason)
        record.planned_tokens = len(given)
        streaming = PacedAnswer(connection, record, completion, settings=self.settings, fault=fault, clock=self._clock)
        return await streaming.run(begins_at)
