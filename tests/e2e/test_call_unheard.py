"""`batkol call` of which no word can be recognized: the exit code, whose fault it may be, and what to do."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from batkol.audio import mulaw
from batkol.simulators.call_cli import CallOptions, carry_out
from batkol.simulators.client.conversation import Internal
from batkol.simulators.client.recording import Recording, recording
from batkol.simulators.google.faults import Fault, Kind, Surface
from batkol.voices.marked.voice import say
from batkol.voices.stored import Stored, stored
from support.service.stack import QUICK, Stack, stack

WORDS = say(["שלום", "תודה"]).mulaw
SILENCE = recording("silence.wav", mulaw.encode(np.zeros(16_000, np.int16)))
FOREIGN = recording("person.wav", stored(Stored.REPEAT, "he-IL").mulaw)
"""Hebrew that espeak spoke: speech to the detector, and no word to the double of Google."""


async def call(up: Stack, sound: Recording | None, *, watched: bool = True) -> tuple[int, str]:
    page = io.StringIO()
    plan = up.plan(WORDS if sound is None else sound.mulaw, tail_ms=1000)
    options = CallOptions(plan, 1, Internal(up.internal) if watched else None, recording=sound)
    return await carry_out(options, Console(file=page, width=400)), page.getvalue()


async def test_a_call_of_which_no_word_was_recognized_has_a_reason_and_is_no_success(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        heard, silent, foreign, blind, blind_silent = await asyncio.gather(
            call(up, None),
            call(up, SILENCE),
            call(up, FOREIGN),
            call(up, None, watched=False),
            call(up, replace(SILENCE, name="quiet.wav"), watched=False),
        )

    assert [code for code, _ in (heard, silent, foreign, blind, blind_silent)] == [0, 1, 1, 0, 1]
    assert "no word" not in heard[1]
    assert "It detected no speech: silence.wav is silent. Record it louder" in silent[1]
    before, after = foreign[1].split("☎", 1)
    assert "it recognizes the built-in voice alone, and no recording" in before
    assert "The service recognized no word of this call." in after
    assert "omit --wav" in after
    assert "Give --internal" in blind[1]
    assert "No service can have heard a word: quiet.wav is silent" in blind_silent[1]


async def test_a_service_whose_credentials_are_refused_is_named_with_the_reason(tmp_path: Path) -> None:
    async with stack(tmp_path, speed=QUICK) as up:
        up.double.inject(
            *(Fault(kind=Kind.END, code="UNAUTHENTICATED", surface=surface) for surface in Surface),
        )
        code, said = await call(up, None)

    assert code == 1
    assert "Its recognizer does not work:" in said
    assert "single (unauthenticated)" in said


async def test_a_call_at_another_service_than_the_internal_api_s_is_not_taken_for_silence(tmp_path: Path) -> None:
    async with stack(tmp_path / "one", speed=QUICK) as up, stack(tmp_path / "other", speed=QUICK) as other:
        page = io.StringIO()
        options = CallOptions(up.plan(WORDS), 1, Internal(other.internal), last_event_s=0.2)
        code = await carry_out(options, Console(file=page, width=400))

    assert code == 1
    assert "it belongs to another service, or to another pod" in page.getvalue()
