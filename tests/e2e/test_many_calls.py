"""Many callers at once, and not a word crosses from one to another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import random_utterances, script
from support.service.stack import double_of_its_own, stack
from support.time.waiting import until


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("calls", "speed"),
    [
        (20, 1.0),
        pytest.param(40, 1.0, marks=pytest.mark.nightly),
        pytest.param(200, 0.25, marks=pytest.mark.nightly),  # at a quarter of real time, for any machine
    ],
    ids=["twenty", "forty", "two hundred"],
)
async def test_simultaneous_short_calls_each_get_their_own_words(tmp_path: Path, calls: int, speed: float) -> None:
    """Nobody speaks before all are connected; then all speak at once.

    For Google the seconds of silence until then are part of each caller's first word.
    """
    scripts = [script(random_utterances(seed, 1, 3), lead_ms=300, tail_ms=900) for seed in range(calls)]
    connected = asyncio.Barrier(len(scripts))

    async with (
        double_of_its_own("--first-word-takes-pause") as port,
        stack(tmp_path, max_calls=calls, double_port=port) as up,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):

        async def one(number: int) -> str:
            async def talk(caller: Caller) -> None:
                await connected.wait()
                await caller.say(scripts[number].mulaw)

            await asyncio.sleep(number * 0.05)
            report = await up.call(script=talk, http=http, speed=speed)
            assert report.clean, report.violations
            return " ".join(up.heard.texts(report.call_sid))

        heard = await asyncio.gather(*(one(number) for number in range(len(scripts))))

        assert heard == [spoken.text for spoken in scripts]
        await until(lambda: not len(up.service.calls) and not up.service.channels.streams)
