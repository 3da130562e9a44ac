"""A strict double of Twilio's REST API for calls: fetch and update, with basic auth, states, refusals and faults.

    async with TwilioDouble(TwilioDoubleSettings(auth_token="…")) as double:
        url = await double.start()                         # http://127.0.0.1:PORT
        double.put(RestCall(sid="CA…"))                    # a call in progress
        double.inject(TwilioFault(kind=TwilioFaultKind.REFUSE, code=20429, times=1))
        double.records[-1].status

`GET` and `POST /2010-04-01/Accounts/AC…/Calls/CA….json`. From another process calls, faults and records are reached
over HTTP (`batkol.simulators.google.control`, and `control` here).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable
from typing import Any, Final

from batkol.simulators.double import Double
from batkol.simulators.fault_book import FirstFaultBook
from batkol.simulators.llm.wire import DoubleConnection, Request, WireError
from batkol.simulators.twilio_rest.calls import RestCall, RestCalls
from batkol.simulators.twilio_rest.faults import TwilioFault, TwilioFaultKind
from batkol.simulators.twilio_rest.records import RestRecord, RestRecords
from batkol.simulators.twilio_rest.refusals import RestRefusal, not_found
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from batkol.simulators.twilio_rest.updates import form_of, updated

_PATH: Final = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-f]{32})/Calls/(CA[0-9a-f]{32})\.json")

OnUpdate = Callable[[RestCall, dict[str, str]], None]
"""Called with the call after an update, and the update's form: for a simulated caller to follow it."""


class TwilioDouble(Double):
    """The double in this process. Leaving the context stops it and cuts what is under way. `clock` is in seconds."""

    def __init__(
        self,
        settings: TwilioDoubleSettings | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.settings = settings or TwilioDoubleSettings()
        self.on_update: OnUpdate = lambda _call, _fields: None
        self._clock = clock
        self._calls = RestCalls(self.settings.account_sid, wall)
        self._book = FirstFaultBook[TwilioFault]()
        self._records = RestRecords()
        self._server: asyncio.Server | None = None
        self._connections = 0
        self._in_progress = 0
        self._serving: set[asyncio.Task[Any]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL. Raises `OSError` if the port is taken."""
        self._server = await asyncio.start_server(self._accept, host, port)
        return f"http://{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Stop listening, and close every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    # Control

    def put(self, call: RestCall) -> None:
        """Add a call, or give one with the same SID another status."""
        self._calls.put(call)

    def calls(self) -> list[RestCall]:
        """Return all calls."""
        return self._calls.all()

    @property
    def records(self) -> list[RestRecord]:
        """The newest requests, in their order."""
        return list(self._records.newest)

    def inject(self, *faults: TwilioFault) -> None:
        """Put faults in force, for requests that come from now on."""
        self._book.inject(*faults)

    def clear(self) -> None:
        """Requests to come are spared."""
        self._book.clear()

    def faults(self) -> list[TwilioFault]:
        """Return the faults in force."""
        return self._book.faults()

    def reset(self) -> None:
        """Forget calls, faults and records; requests are counted from one again."""
        self._calls.clear()
        self._book.clear()
        self._records = RestRecords()

    def stats(self) -> dict[str, Any]:
        """Return totals and one record a request, as plain JSON types."""
        return self._records.summary()

    # The wire

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise AssertionError("a server's callback runs in a task")
        self._serving.add(task)
        self._connections += 1
        connection = DoubleConnection(reader, writer, self._connections)
        try:
            while (request := await connection.request()) is not None and await self._serve(connection, request):
                pass
        except WireError as error:
            await connection.answer(error.status, RestRefusal(20001, str(error)).body)
        except asyncio.CancelledError:
            connection.cut()
        finally:
            self._serving.discard(task)
            connection.close()

    async def _serve(self, connection: DoubleConnection, request: Request) -> bool:
        """Answer a request; return whether the connection can have another one."""
        record = self._records.begin(request.method, request.path, connection.number, self._clock())
        fault = self._book.take(request.path)
        self._in_progress += 1
        try:
            await asyncio.sleep(self.settings.latency_ms / 1000)
            if fault is not None and (kept := await self._befall(connection, request, fault, record)) is not None:
                return kept
            record.status, body = 200, self._answer(request, record, fault)
            await connection.answer(200, body)
        except RestRefusal as refusal:
            record.status, record.code = refusal.status, refusal.code
            await connection.answer(refusal.status, refusal.body, refusal.headers)
        finally:
            self._in_progress -= 1
            record.ended_at = self._clock()
        return True

    async def _befall(
        self, connection: DoubleConnection, request: Request, fault: TwilioFault, record: RestRecord
    ) -> bool | None:
        """Do what the fault does; None where the request is answered all the same. Raises `RestRefusal`."""
        match fault.kind:
            case TwilioFaultKind.REFUSE:
                raise RestRefusal(fault.code)
            case TwilioFaultKind.SLOW:
                await asyncio.sleep(fault.latency_s)
            case TwilioFaultKind.HANG:
                await connection.left()
                return False
            case TwilioFaultKind.DROP:
                connection.cut()
                return False
            case TwilioFaultKind.NONSENSE:
                record.status = 200
                await connection.answer(200, "<html>Please log in.</html>")
                return True
            case TwilioFaultKind.REDIRECT:
                record.status = 307
                await connection.answer(307, {}, {"Location": f"http://127.0.0.1:9{request.path}"})
                return True
        return None

    def _answer(self, request: Request, record: RestRecord, fault: TwilioFault | None) -> dict[str, Any]:
        """Return the resource, updated or not. Raises `RestRefusal`."""
        if self.settings.at_once and self._in_progress > self.settings.at_once:
            raise RestRefusal(20429)
        user, password = _login(request.headers.get("authorization", ""))
        record.user = user
        found = _PATH.fullmatch(request.path)
        if (user, password) not in self.settings.logins() or (found and found[1] != self.settings.account_sid):
            raise RestRefusal(20003)
        call = None if found is None else self._calls.get(found[2])
        if call is None:
            raise not_found(request.path)
        if request.method == "POST":
            call = self._update(call, request, record)
        elif request.method != "GET":
            raise RestRefusal(20004)
        return self._calls.resource(call) | _untrue(fault)

    def _update(self, call: RestCall, request: Request, record: RestRecord) -> RestCall:
        record.fields = form_of(request.headers.get("content-type", ""), request.body)
        after = updated(call, record.fields, over=self.settings.over, path=request.path)
        self._calls.put(after)
        self.on_update(after, record.fields)
        return after


def _untrue(fault: TwilioFault | None) -> dict[str, Any]:
    match fault:
        case TwilioFault(kind=TwilioFaultKind.RINGING):
            return {"status": "ringing"}
        case TwilioFault(kind=TwilioFaultKind.OTHER):
            return {"sid": "CA" + "f" * 32}
    return {}


def _login(authorization: str) -> tuple[str, str]:
    """Return user and password of a basic auth header; two empty texts for another one."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return user, password
