"""Where a trial takes place: the service, the double, the network between them, and the hands that break things."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from batkol.events.events import UtteranceStarted
from batkol.simulators.google.faults import Fault
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.soniox.server import SonioxDouble
from reliability.phones import Phone, phone
from reliability.scenario import Action, Scenario, Step
from support.network.relay import Relay, relaying
from support.service.stack import Stack, stack
from support.whisper.server import HearingWhisper, hearing_whisper

SONIOX = "soniox/stt-rt-v5"
GOOGLE = "google-v1/default"

_LOOK_S = 0.01


@dataclass
class Ground:
    """Everything an `Action` may lay hands on."""

    scenario: Scenario
    up: Stack
    double: SpeechDouble
    network: Relay | None  # to Google
    line: Relay | None  # from the callers
    whisper: HearingWhisper | None
    soniox: SonioxDouble | None
    phones: list[Phone]
    done: list[Step] = field(default_factory=list)
    leaving: asyncio.Task[None] | None = None
    heard_ms: dict[str, float] = field(default_factory=dict)
    """How much of each call the service had taken in when it ended it, or so far."""

    @property
    def streams(self) -> int:
        """Streams that any recognizer has seen opened."""
        sockets = self.soniox.stats()["sockets_opened"] if self.soniox else 0
        return int(self.double.stats()["streams_opened"] + sockets)

    def flags(self, own: Phone) -> list[str | None]:
        """Return what the flag was at the beginning of each of a call's utterances."""
        return [started.flag_variant for started in self.up.heard.of(own.call_sid, UtteranceStarted)]

    async def listen(self) -> None:
        """Keep `heard_ms`. Runs until cancelled."""
        while True:
            for call in self.up.service.calls:
                if not call.ended_by:
                    self.heard_ms[call.identity.call_sid] = call.audio.ms
            await asyncio.sleep(_LOOK_S)

    async def carry_out(self, step: Step) -> None:
        """Wait for the step's moment and do it. Cancelled if the calls are over before."""
        first = self.phones[0]
        await first.started.wait()
        while self.streams < step.streams:
            await asyncio.sleep(_LOOK_S)
        due = first.media_start + step.at_s
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.sleep(step.after_s)
        self.done.append(step)
        waits = step.do(self)
        if waits is not None:
            await waits

    async def hold(self, number: int) -> list[str]:
        """Hold one of the calls, at its time."""
        talk, own = self.scenario.talks[number], self.phones[number]
        if number:
            await self.phones[0].started.wait()
            await asyncio.sleep(talk.starts_s)
        return await own.run()


@asynccontextmanager
async def ground(scenario: Scenario, live: Path) -> AsyncIterator[Ground]:
    """Bring everything up."""
    async with AsyncExitStack() as exits:
        double = await exits.enter_async_context(SpeechDouble(scenario.double))
        port = await double.start()
        network = await exits.enter_async_context(relaying(port)) if scenario.relay else None
        whisper = await exits.enter_async_context(hearing_whisper()) if scenario.whisper else None
        settings = {**scenario.settings, **({"whisper_url": whisper.url} if whisper else {})}
        soniox = None
        if scenario.soniox is not None:
            soniox = await exits.enter_async_context(SonioxDouble(scenario.soniox_double))
            found = {"stt_recognizer": SONIOX, "soniox_api_key": "a-key", "soniox_url": await soniox.start()}
            settings = {**found, **settings}
            soniox.inject(*scenario.soniox)
        google = network.port if network else port
        up = await exits.enter_async_context(stack(live, double_port=google, patience=scenario.patience, **settings))
        line = await exits.enter_async_context(relaying(up.service.port)) if scenario.line else None
        base_url = f"http://127.0.0.1:{line.port}" if line else up.url
        phones = [phone(talk, up, base_url) for talk in scenario.talks]
        double.inject(*scenario.faults)
        yield Ground(scenario, up, double, network, line, whisper, soniox, phones)


# What a step may do


def inject(*faults: Fault) -> Action:
    return lambda at: at.double.inject(*faults)


def clear(at: Ground) -> None:
    """No stream to come is befallen any more."""
    at.double.clear()


def flip(*, on: bool) -> Action:
    return lambda at: at.up.flip(on=on)


def choose(recognizer: str) -> Action:
    """Have the flag name that recognizer for every call."""
    return lambda at: at.up.choose(recognizer)


def order(*recognizers: str) -> Action:
    """Have the tuning name these recognizers, in this order; it is in force for calls in progress, too."""
    return lambda at: at.up.order(*recognizers)


async def flip_off_and_on(at: Ground) -> None:
    """Off, and on again as soon as an utterance of every call has begun without streaming."""
    at.up.flip(on=False)
    await at.up.heard.until(lambda: all("off" in at.flags(phone_) for phone_ in at.phones), within=60)
    at.up.flip(on=True)


def network(what: str) -> Action:
    """Do to the network what the relay calls by that name."""

    def act(at: Ground) -> None:
        assert at.network is not None, "the scenario has no relay"
        getattr(at.network, what)()

    return act


def slow_network(seconds: float) -> Action:
    def act(at: Ground) -> None:
        assert at.network is not None, "the scenario has no relay"
        at.network.delay(seconds)

    return act


def line(what: str) -> Action:
    """Do that to the line between Twilio and the service."""

    def act(at: Ground) -> None:
        assert at.line is not None, "the scenario has no line of its own"
        getattr(at.line, what)()

    return act


async def leave(at: Ground) -> None:
    """What SIGTERM does: drain. It goes on while the calls do; on a slow machine it waits for them to have begun."""
    for phone_ in at.phones:
        await phone_.started.wait()
    at.leaving = asyncio.create_task(at.up.service.drain_calls())


def hang_up(number: int = 0) -> Action:
    return lambda at: at.phones[number].hang_up()


def starve(seconds: float) -> Action:
    """Keep the event loop from running: everything in this process stands still."""
    return lambda _at: time.sleep(seconds)
