"""The simulated Twilio caller: a phone call to a media service, over real HTTP and a real WebSocket.

It does what Twilio does, in Twilio's order: the signed voice webhook, the TwiML verb by verb, the media
stream with its status callbacks, and the status callback of the call. What Twilio would complain of is in the
report, under Twilio's number. Where Twilio's pages are silent (what follows a failed handshake) the call
ends.

    report = await place_call(CallPlan(base_url="http://127.0.0.1:8080", audio=read_wav("hello.wav")))

During the call, from a script: `await caller.say(mulaw)`, `caller.press("1")`, `await caller.move()`,
`caller.hang_up()`.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import httpx

from batkol.simulators.twilio.handset import Handset, SpokenPiece, read_wav
from batkol.simulators.twilio.handshake import HandshakeFailed
from batkol.simulators.twilio.own_twiml import filled_in
from batkol.simulators.twilio.plan import OWN_TWIML, UPDATED, CallEnding, CallOutcome, CallPlan, CallReport
from batkol.simulators.twilio.stream import CallerStream
from batkol.simulators.twilio.webhook import (
    ConnectStream,
    DialVerb,
    Hangup,
    Pause,
    Redirect,
    Say,
    Verb,
    Webhook,
    WebhookFailed,
    call_completed,
    stream_event,
)

__all__ = [
    "CallEnding",
    "CallOutcome",
    "CallPlan",
    "CallReport",
    "Caller",
    "Script",
    "SpokenPiece",
    "place_call",
    "read_wav",
]

Script = Callable[["Caller"], Awaitable[None]]

MOST_PAGES: Final = 5
"""TwiML pages in a row: a redirect to a redirect for ever is a failure of the webhook."""

LIVED_S: Final = 10.0
"""Seconds of audio time after which a stream was a conversation: the pages are counted anew."""


async def place_call(plan: CallPlan, script: Script | None = None, http: httpx.AsyncClient | None = None) -> CallReport:
    """Place one call and return what came of it. See `Caller.run`."""
    return await Caller(plan, script, http).run()


class Caller:
    """One call. With a script, the call lasts until the script has returned and all has been said."""

    def __init__(self, plan: CallPlan, script: Script | None = None, http: httpx.AsyncClient | None = None) -> None:
        self.plan = plan
        self.report = CallReport(call_sid=plan.call_sid, frame_s=plan.frame_s)
        self.started = asyncio.Event()  # the first stream has begun
        self._script = script
        self._http = http
        self._handset = Handset(held=script is not None)
        self._began = 0.0
        self._moved = asyncio.Event()  # the call was updated: the stream that it has is left
        self._update: Mapping[str, str] = {}  # the newest one with TwiML or a URL
        self._stream: CallerStream

    def say(self, mulaw: bytes) -> asyncio.Future[SpokenPiece]:
        """Queue sound (mu-law, 8000 Hz); the future resolves when its last sample has gone out.

        It may be left alone. It is cancelled if the call ends first; cancelling it does not take the sound
        back.
        """
        return self._handset.say(mulaw)

    def press(self, digit: str) -> None:
        """Press a key, with the next 20 ms."""
        self._handset.keys.append(digit)

    async def move(self, *, stop: bool = True) -> None:
        """Update the live call, as a hold or a transfer does: leave the stream, ask the webhook, open the next one.

        Returns when the next stream has begun. With `stop`, the stream that is left is stopped and closed first;
        without, it goes on in silence beside the new one until the service closes it or the call ends.
        """
        self._stream.lingers = not stop
        self.started.clear()
        self._handset.line += 1
        self._moved.set()
        await self.started.wait()

    def hang_up(self) -> None:
        """End the call within 20 ms, in the way of the plan's `ending`."""
        self._handset.hung_up = True

    def updated(self, fields: Mapping[str, str]) -> None:
        """Twilio's REST API has updated this call: end it, or leave its stream for other TwiML.

        Either way the stream that it has is stopped, and closed by Twilio, `update_ms` later. A call that is ended does
        no further verb, whichever side closes its stream first.
        """
        if fields.get("Status"):
            self.report.ended_by_rest = self._handset.ended_by_rest = True
        if self.plan.update_ms:
            asyncio.get_running_loop().call_later(self.plan.update_ms / 1000, self._follow_update, fields)
        else:
            self._follow_update(fields)

    def _follow_update(self, fields: Mapping[str, str]) -> None:
        if fields.get("Status"):
            self.hang_up()
            return
        self._update = fields
        self._handset.line += 1
        self._moved.set()

    async def run(self) -> CallReport:
        """Place the call; return when it is over. What the service does wrong is in the report, not raised.

        Raises an ExceptionGroup with what the script raised. Cancelling it drops the connection, as an abrupt
        end.
        """
        if self.plan.audio:
            self._handset.say(self.plan.audio)
        self._began = time.monotonic()
        try:
            async with _client(self._http, self.plan) as http, asyncio.TaskGroup() as tasks:
                script = tasks.create_task(self._run_script(), name="caller.script")
                webhook = Webhook(http, self.plan, self.report)
                await self._follow(webhook, tasks)
                self._handset.put_down()
                script.cancel()
                answered = self.report.http_status == 200 or bool(self.plan.own_twiml)
                if self.plan.status_path is not None and answered:
                    url = self.plan.public_base + self.plan.status_path
                    await webhook.post_status(url, call_completed(self.plan, time.monotonic() - self._began))
        finally:
            self._handset.put_down()
        return self.report

    async def _run_script(self) -> None:
        if self._script is not None:
            await self.started.wait()
            await self._script(self)
            self._handset.held = False

    async def _follow(self, webhook: Webhook, tasks: asyncio.TaskGroup) -> None:
        """Execute the TwiML, verb by verb, page by page."""
        page: str | None = self.plan.first_page
        status, pages = "ringing", 0
        try:
            while page is not None:
                if pages == MOST_PAGES:
                    self.report.complain(11200, f"more than {MOST_PAGES} pages of TwiML in one call")
                    self.report.outcome = CallOutcome.WEBHOOK_FAILED
                    return
                verbs = await self._verbs(webhook, page, status)
                begun = time.monotonic()
                page, status, pages = await self._do(deque(verbs), webhook, tasks), "in-progress", pages + 1
                if (time.monotonic() - begun) * self.plan.speed >= LIVED_S:
                    pages = 0
                if self._moved.is_set():
                    self._moved.clear()
                    page, pages = self._next_page(), 0
        except WebhookFailed:
            self.report.outcome = CallOutcome.WEBHOOK_FAILED
        except HandshakeFailed:
            self.report.outcome = CallOutcome.HANDSHAKE_FAILED

    def _next_page(self) -> str:
        """Return the page of a call that was moved."""
        if "Twiml" in self._update:
            return UPDATED
        return self._update.get("Url") or self.plan.first_page

    async def _verbs(self, webhook: Webhook, page: str, status: str) -> list[Verb]:
        if page == UPDATED:
            return webhook.read(self._update["Twiml"].encode(), self.plan.first_page)
        if page == OWN_TWIML:
            return webhook.read(filled_in(self.plan).encode(), page)
        return await webhook.ask(page, call_status=status)

    async def _do(  # noqa: C901  one case a verb
        self, verbs: deque[Verb], webhook: Webhook, tasks: asyncio.TaskGroup
    ) -> str | None:
        """Execute one page; return the next page's URL, or None where the call ends."""
        while verbs:
            match verbs.popleft():
                case Say(text):
                    self.report.said.append(text)
                    if not self.report.streams:
                        self.report.outcome = CallOutcome.APOLOGY
                case Hangup():
                    return None
                case DialVerb(targets):
                    self.report.dialled += targets
                case Redirect(url):
                    return url
                case Pause(length):
                    await asyncio.sleep(length / self.plan.speed)
                case ConnectStream() as order:
                    await self._hold_stream(order, webhook, tasks)
                    if self._moved.is_set() or self.report.ended_by_rest or self.report.closed_by == "caller":
                        return None
                    if order.action is not None:
                        return order.action
        return None

    async def _hold_stream(self, order: ConnectStream, webhook: Webhook, tasks: asyncio.TaskGroup) -> None:
        self._stream = stream = CallerStream(self.plan, self._handset, self.report, self.started)

        async def post_event(event: str, error: str = "") -> None:
            if order.status_callback is not None:
                await webhook.post_status(order.status_callback, stream_event(event, stream.sid, order.name, error))

        try:
            ws = await stream.dial(order.url)
        except HandshakeFailed as error:
            await post_event("stream-error", str(error))
            raise
        self.report.outcome = CallOutcome.COMPLETED
        tasks.create_task(post_event("stream-started"), name="caller.tell")

        held = tasks.create_task(stream.run(ws, order.parameters), name="caller.stream")
        moved = tasks.create_task(self._moved.wait(), name="caller.moved")
        await asyncio.wait((held, moved), return_when=asyncio.FIRST_COMPLETED)
        moved.cancel()
        if not stream.lingers:
            await asyncio.wait((held,))

        async def post_end() -> None:
            await asyncio.wait((held,))
            await post_event("stream-stopped")

        ended = tasks.create_task(post_end(), name="caller.tell")
        if not stream.moved_on:
            await asyncio.wait((ended,))


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # reads the system's certificates, which takes 20 ms: once, not per call


@asynccontextmanager
async def _client(given: httpx.AsyncClient | None, plan: CallPlan) -> AsyncIterator[httpx.AsyncClient]:
    if given is not None:
        yield given
        return
    async with httpx.AsyncClient(verify=_tls(), trust_env=False, timeout=plan.open_timeout) as client:
        yield client
