"""A pod that is told to go takes no new call and ends none that it has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from batkol.calls.events import UtteranceStarted
from batkol.simulators.caller import place_call
from batkol.simulators.voice import script
from support.stack import Stack, stack, words_of

TALK = script([["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"]], gap_ms=900, tail_ms=900)


async def speaking(up: Stack) -> None:
    await up.heard.until(lambda: any(isinstance(e, UtteranceStarted) for es in up.heard.events.values() for e in es))


async def test_a_drain_lets_the_live_call_finish_and_turns_the_next_one_away(tmp_path: Path) -> None:
    async with stack(tmp_path, drain_timeout_s=30) as up, httpx.AsyncClient(trust_env=False) as http:
        live = asyncio.create_task(up.call(TALK.mulaw))
        await speaking(up)
        leaving = asyncio.create_task(up.service.leave())
        await asyncio.sleep(0)

        turned_away = await place_call(up.plan(TALK.mulaw))
        ready = await http.get(f"{up.url}/readyz")

        assert turned_away.streams == 0
        assert len(turned_away.said) == 1
        assert ready.status_code == 503
        report = await live
        await leaving
        assert report.clean
        assert up.heard.texts(report.call_sid) == words_of(TALK)
        assert up.ended(report.call_sid).reason == "stop"


async def test_when_the_time_is_up_the_utterance_in_hand_is_delivered_and_the_socket_closed(tmp_path: Path) -> None:
    async with stack(tmp_path, drain_timeout_s=0.2) as up:
        live = asyncio.create_task(up.call(TALK.mulaw + b"\xff" * 80_000))
        await up.heard.until(lambda: any(up.heard.finals(sid) for sid in list(up.heard.events)))
        await up.heard.until(lambda: any(len(up.heard.finals(sid)) == 2 for sid in list(up.heard.events)))

        await up.service.leave()

        report = await live
        assert (report.closed_by, report.close_code) == ("server", 1001)
        assert up.heard.texts(report.call_sid) == words_of(TALK)
        assert up.ended(report.call_sid).reason == "drained"
