"""Two hundred callers at once, and not a word crosses from one to another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from batkol.simulators.voice import random_utterances, script

from support.stack import stack


@pytest.mark.timeout(120)
async def test_two_hundred_simultaneous_short_calls_each_get_their_own_words(tmp_path: Path) -> None:
    scripts = [script(random_utterances(seed, 1, 3), lead_ms=300, tail_ms=900) for seed in range(200)]

    async with stack(tmp_path, max_calls=200) as up:

        async def one(number: int) -> tuple[list[str], list[str]]:
            await asyncio.sleep(number * 0.02)
            report = await up.call(scripts[number].mulaw)
            assert report.clean, report.violations
            return [scripts[number].text], up.heard.texts(report.call_sid)

        pairs = await asyncio.gather(*(one(number) for number in range(len(scripts))))

        assert [got for _, got in pairs] == [said for said, _ in pairs]
        assert len(up.service.calls) == 0
        assert up.service.channels.streams == 0
