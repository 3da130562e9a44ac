"""The pods of the soak of replies: one that stays, places for those that are drained in turn, and all their doubles."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from batkol.events.events import AnyEvent
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.llm.tool_deltas import ScriptedCall, Untidy
from batkol.simulators.speaker.server import VoiceDouble
from batkol.simulators.twilio.caller import Caller
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from support.http.one_answer import answering, http
from support.network.balancer import Balancer, balancing
from support.network.ports import free_ports
from support.service.process import Served, serving
from support.service.stack import TOKEN

ACCOUNT: Final = "AC" + "0" * 32
RULES: Final = (
    Rule("רופא", "טלפון חשבון."),
    Rule("פגישה", "מחר בוקר. היום ערב. שלום תודה."),
    Rule("תור", tool=ScriptedCall("save_lead", '{"day": "מחר"}')),
    Rule("תור", "מחר תור.", result=""),
    Rule("כתובת", "בבקשה.", tool=ScriptedCall("book", '{"day": "מחר"}'), untidy=(Untidy.BESIDE_TEXT, Untidy.NO_ID)),
    Rule("כתובת", "מחר כתובת.", result=""),
    Rule("ערב", "תודה שלום.", tool=ScriptedCall("hang_up"), untidy=(Untidy.BESIDE_TEXT,)),
)
REFUSED: Final = "[CALL] Twilio did not hang up"
"""The beginning of the error that the log has of a hang-up that Twilio's double was told to refuse."""

LEFT: Final = "[TWILIO] caller left before the call went on here"
"""The line that the log has of a stream whose caller hung up before its pod knew where the call stands."""

_SHORT_RING: Final = """
from batkol.app import build
from batkol.events.bus import Bus
from batkol.events.ring import EventRing, RingLimits
build.Bus = lambda: Bus(EventRing(RingLimits(events=500)))
"""
"""For pods whose memory is read: a ring is to be full from the first minute on, and not to fill up for fifteen."""

_PODS: Final = 3
"""Places for pods that are drained in turn: one takes calls, one still answers its peers, one starts."""
_LEAVES_S: Final = 60.0
"""In which a drained pod surely exits, on any machine."""
_SLOWEST_S: Final = 0.5
"""Of the tool's webhook."""
_DAY: Final = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}


class World:
    """The pods by number, the balancer before those that are drained, and all events of all of them."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], google: int, balancer: Balancer, rest: TwilioDouble
    ) -> None:
        self._folder = folder
        self._google = google
        self._ports = free_ports(_PODS + 1)
        self._environment = {
            **environment,
            "FLEET_PEERS": ",".join(f"127.0.0.1:{port}" for port in self._ports),
            "DRAIN_TIMEOUT_S": "0",
        }
        self._all: list[Served] = []  # those that have ended, too: their events count
        self._stacks: dict[int, AsyncExitStack] = {}
        self._at: dict[int, Served] = {}
        self._read: list[int] = []  # how many events of each of `_all` are in `_events`
        self._events: defaultdict[str, list[AnyEvent]] = defaultdict(list)  # by call SID
        self.balancer = balancer
        self.rest = rest
        self.callers: dict[str, Caller] = {}
        self.drains = 0
        self.faults: list[str] = []
        rest.on_update = self._obey

    def enter(self, caller: Caller) -> None:
        """A call begins: Twilio's REST API knows it, and its updates are obeyed."""
        plan = caller.plan
        self.callers[plan.call_sid] = caller
        self.rest.put(RestCall(sid=plan.call_sid, account_sid=plan.account_sid))

    def leave(self, caller: Caller) -> None:
        """A call is over."""
        plan = caller.plan
        del self.callers[plan.call_sid]
        self.rest.put(RestCall(sid=plan.call_sid, account_sid=plan.account_sid, status="completed"))

    def _obey(self, call: RestCall, update: dict[str, str]) -> None:
        if call.sid in self.callers:
            self.callers[call.sid].updated(update)

    async def start(self, number: int) -> Served:
        folder = self._folder / f"pod-{number}-{len(self._all)}"
        folder.mkdir(parents=True)
        stack = self._stacks[number] = AsyncExitStack()
        own: dict[str, Any] = {
            **self._environment,
            "POD_NAME": f"pod-{number}",
            "INTERNAL_PORT": str(self._ports[number]),
        }
        served = await stack.enter_async_context(serving(folder, self._google, first=_SHORT_RING, **own))
        self._all.append(served)
        self._read.append(0)
        self._at[number] = served
        return served

    async def rotate(self, every_s: float, most: float) -> None:
        """Drain and replace the pod behind the balancer again and again, so often at most; runs until cancelled."""
        number, old = 1, self._all[-1]
        while self.drains < most:
            await asyncio.sleep(every_s)
            number = number % _PODS + 1
            if number in self._stacks:
                await self._left(number)
                await self._end(number)
            new = await self.start(number)
            self.balancer.pod = new.port
            old.tell(signal.SIGTERM)
            self.drains += 1
            old = new

    async def _left(self, number: int) -> None:
        """Wait for the exit of a drained pod, which stays for a while for the pods that have its calls."""
        code: int | None = None
        with suppress(TimeoutError):
            code = await self._at[number].exited(_LEAVES_S)
        if code != 0:
            self.faults.append(f"pod {number}, which was drained, has exited with {code} and not with 0")

    async def _end(self, number: int) -> None:
        await self._stacks.pop(number).aclose()

    async def close(self) -> None:
        """End all pods, and keep what their logs say of faults."""
        for number in tuple(self._stacks):
            await self._end(number)
        for served in self._all:
            lines = [line["event"] for line in served.faults if not line["event"].startswith(REFUSED)]
            self.faults += [f"{served.log}: {line}" for line in lines]

    def of(self, call_sid: str, kind: type[Any]) -> list[Any]:
        """Return a call's events of a kind, from all pods."""
        return [event for event in self.all_of(call_sid) if isinstance(event, kind)]

    def left_early(self, call_sid: str) -> int:
        """Count a call's streams whose caller was gone before the call went on there."""
        return sum(line["call_sid"] == call_sid for served in self._all for line in served.said(LEFT))

    def all_of(self, call_sid: str) -> list[AnyEvent]:
        """Return a call's events, from all pods."""
        for at, served in enumerate(self._all):
            for event in served.events[self._read[at] :]:
                self._events[event.call_sid].append(event)
                self._read[at] += 1
        return self._events[call_sid]


@asynccontextmanager
async def pods(folder: Path, seed: int) -> AsyncIterator[tuple[World, Served]]:
    """Bring up the doubles, the pod that stays, and the first of those that do not."""
    draw = random.Random(seed)
    booked = http("200 OK", "נקבע".encode())

    async def book(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(draw.uniform(0.0, _SLOWEST_S))
        await booked(writer)

    async with AsyncExitStack() as exits:
        google = await exits.enter_async_context(SpeechDouble(DoubleSettings()))
        llm = await exits.enter_async_context(LLMDouble(LLMSettings(profile="fixed:150")))
        voice = await exits.enter_async_context(VoiceDouble())
        rest = await exits.enter_async_context(TwilioDouble(TwilioDoubleSettings(auth_token=TOKEN)))
        webhook, _ = await exits.enter_async_context(answering(book))
        llm.script(*RULES)
        environment = {
            "AGENT_REPLIES": "true",
            "ANSWERER": "openai",
            "ANSWERER_URL": await llm.start(),
            "ANSWERER_MODEL": "double",
            "VOICE": "openai",
            "VOICE_URL": f"http://127.0.0.1:{await voice.start()}/v1",
            "VOICE_MODEL": "tts-1",
            "VOICE_API_KEY": "any",
            "GREETING": "",
            "LEAD_FIELDS": '{"day": "The day that the caller wants."}',
            "TOOLS": json.dumps([{"name": "hang_up"}, {"name": "book", "url": webhook, "parameters": _DAY}]),
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_API_URL": await rest.start(),
        }
        balancer = await exits.enter_async_context(balancing(0))
        world = World(folder, environment, await google.start(), balancer, rest)
        exits.push_async_callback(world.close)
        stays = await world.start(0)
        balancer.pod = (await world.start(1)).port
        yield world, stays
