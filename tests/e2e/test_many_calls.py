"""Two hundred callers at once, and not a word crosses from one to another, or into another sentence."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from batkol.calls.events import RevisedText
from batkol.simulators.caller import Caller
from batkol.simulators.voice import Spoken, random_utterances, script
from reliability.score import Said, Score, Written, score
from support.stack import Stack, double_of_its_own, plain, stack

PRE_ROLL_MS = 300
SPEED = 0.25
"""Callers at a quarter of real time: what is proven is whose words are whose, on machines of any speed."""


def said(seed: int) -> tuple[tuple[str, ...], ...]:
    """What a caller says: three words, and every other one of them a fourth after a pause."""
    return random_utterances(seed, 1, 3) + (random_utterances(seed, 1, 1) if seed % 2 else ())


def spoken_in(spoken: Spoken, record: list[Written]) -> list[Said]:
    """The words with their places in the call, which began when the caller was connected, not when he spoke."""
    waited = record[0].begin_ms + PRE_ROLL_MS - spoken.words[0].start / 8 if record else 0.0
    return [Said(word.text, waited + word.start / 8, waited + word.end / 8) for word in spoken.words]


def written_of(up: Stack, call_sid: str) -> list[Written]:
    """The record of a call, as late finals corrected it."""
    later = {revised.index: revised.text for revised in up.heard.of(call_sid, RevisedText)}
    return [
        Written(final.begin_ms, final.end_ms, plain(later.get(final.index, final.text)))
        for final in up.heard.finals(call_sid)
    ]


@pytest.mark.timeout(240)
async def test_two_hundred_simultaneous_short_calls_each_get_their_own_words(tmp_path: Path) -> None:
    """Nobody speaks before all two hundred are connected; then all speak at once.

    Every other one says a single word after a pause of 1.2 s. Google counts the pause as the word's, at a stream's
    start too.
    """
    scripts = [script(said(seed), gap_ms=1200, lead_ms=300, tail_ms=900) for seed in range(200)]
    connected = asyncio.Barrier(len(scripts))

    async with (
        double_of_its_own("--first-word-takes-pause") as port,
        stack(tmp_path, max_calls=200, double_port=port) as up,
        httpx.AsyncClient(trust_env=False, timeout=30) as http,
    ):

        async def one(number: int) -> tuple[Score, list[Written]]:
            async def talk(caller: Caller) -> None:
                await connected.wait()
                await caller.say(scripts[number].mulaw)

            await asyncio.sleep(number * 0.05)
            report = await up.call(script=talk, http=http, speed=SPEED)
            assert report.clean, report.violations
            record = written_of(up, report.call_sid)
            return score(spoken_in(scripts[number], record), record), record

        scored = await asyncio.gather(*(one(number) for number in range(len(scripts))))

        wrong = [f"{found}: {record}" for found, record in scored if not found.clean]
        assert not wrong, "\n".join(wrong)
        assert len(up.service.calls) == 0
        assert up.service.channels.streams == 0
