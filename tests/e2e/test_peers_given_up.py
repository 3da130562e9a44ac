"""A peer that vanishes and a peer that floods: their streams are closed and said, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from batkol.events.events import CallEnded
from batkol.voices.marked.voice import script
from batkol.web import limits
from support.http.raw_websocket import CONT, TEXT, RawWebSocket, frame, text
from support.service.stack import QUICK, Stack, stack, words_of
from support.twilio import dialing

TALK = script([["שלום", "אני", "רוצה"]], lead_ms=300, tail_ms=1500)
SHORT_S = 0.8
FRAGMENTS = frame(CONT, fin=False) * 40_000


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer without a sign of life is given up after twice `SHORT_S`."""
    short = replace(limits.public(), ping_after_s=SHORT_S, pong_s=SHORT_S)
    monkeypatch.setattr(limits, "public", lambda: short)


@asynccontextmanager
async def calling(up: Stack, call_sid: str) -> AsyncIterator[RawWebSocket]:
    parameters = await dialing.ask_for_twiml(up, call_sid)
    async with dialing.raw_socket(up) as raw:
        await raw.send(text(dialing.connected()), text(dialing.start(call_sid, parameters)))
        yield raw


async def counted(up: Stack, name: str, reason: str) -> float:
    async with httpx.AsyncClient(base_url=up.internal, trust_env=False) as http:
        page = (await http.get("/metrics")).text
    samples = [sample for family in text_string_to_metric_families(page) for sample in family.samples]
    (found,) = [each.value for each in samples if each.name == name and each.labels.get("reason") == reason]
    return found


def lines_about(lines: list[Any], event: str) -> list[Any]:
    return [line for line in lines if line["event"].startswith(event)]


async def pour(raw: RawWebSocket, pieces: int) -> None:
    await raw.send(frame(TEXT, fin=False), *[FRAGMENTS] * pieces)


@pytest.mark.usefixtures("soon")
async def test_a_caller_who_answers_no_ping_is_heard_and_one_who_vanishes_is_said(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up, calling(up, "CA1") as raw:
        with capture_logs() as lines:
            audio = TALK.mulaw
            for number in range(len(audio) // 160):
                await raw.send(text(dialing.media(number + 1, audio[number * 160 : number * 160 + 160])))
                await asyncio.sleep(0.018)
            assert await raw.closed() == 1011  # nothing comes after the sound
            await up.heard.until(lambda: up.heard.of("CA1", CallEnded))

        assert len(audio) / 8000 > 4 * SHORT_S
        assert up.heard.texts("CA1") == words_of(TALK)
        assert (up.ended("CA1").reason, up.ended("CA1").close_code) == ("peer_timeout", 1011)
        assert await counted(up, "batkol_calls_ended_total", "peer_timeout") == 1
        (said,) = lines_about(lines, "[CALL] stream closed")
        assert (said["log_level"], said["call_sid"], said["reason"]) == ("warning", "CA1", "peer_timeout")


@pytest.mark.nightly
async def test_a_stream_of_empty_fragments_is_closed_with_1008_and_its_neighbour_loses_no_word(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up, calling(up, "CA1") as raw:
        with capture_logs() as lines:
            neighbour = asyncio.create_task(up.call(TALK.mulaw))
            await up.heard.until(lambda: len(up.service.calls) == 2)
            pouring = asyncio.create_task(pour(raw, 60))
            assert await raw.closed() == 1008
            await up.heard.until(lambda: up.heard.of("CA1", CallEnded))
            pouring.cancel()
            report = await neighbour

        assert report.clean
        assert up.heard.texts(report.call_sid) == words_of(TALK)
        assert (up.ended("CA1").reason, up.ended("CA1").close_code) == ("flooded", 1008)
        assert await counted(up, "batkol_calls_ended_total", "flooded") == 1
        (said,) = lines_about(lines, "[CALL] stream closed")
        assert (said["call_sid"], said["reason"]) == ("CA1", "flooded")


async def test_a_socket_that_floods_before_its_stream_begins_is_refused_as_such(tmp_path: Path) -> None:
    async with stack(tmp_path) as up, dialing.raw_socket(up) as raw:
        with capture_logs() as lines:
            pouring = asyncio.create_task(pour(raw, 60))
            assert await raw.closed() == 1008
            pouring.cancel()

        assert await counted(up, "batkol_calls_refused_total", "flooded") == 1
        (said,) = lines_about(lines, "[TWILIO] stream closed")
        assert "more frames than a phone call has" in said["err"]
