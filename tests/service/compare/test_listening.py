"""A sound on its way through a session: which finals came by themselves, and which because the session was closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.audio.ring import Ring
from batkol.compare.known_speech import KnownSpeech, SpeechSpan
from batkol.compare.listening import Lose, listen
from batkol.speech.results import Transcript

pytestmark = pytest.mark.virtual_time

BEGIN, END, SOUND_ENDS = 300 * SAMPLES_PER_MS, 900 * SAMPLES_PER_MS, 1000 * SAMPLES_PER_MS
SPEECH = KnownSpeech(
    "a.wav", "a.wav", "שלום", mulaw.silence(SOUND_ENDS), (SpeechSpan(BEGIN, END, END + 480 * SAMPLES_PER_MS),)
)
FINAL = Transcript("שלום", 0, END, True)


class OneFinal:
    """A session whose recognizer says one final: some time after the last speech, or when it is closed."""

    def __init__(self, on_transcript: Callable[[Transcript], None], after_s: float | None) -> None:
        self._say, self._after_s = on_transcript, after_s
        self._waits, self._closed = True, asyncio.Event()

    def push_audio(self, until: int, *, flush: bool = False) -> None:
        if self._waits and until >= END and self._after_s is not None:
            self._waits = False
            asyncio.get_running_loop().call_later(self._after_s, self._say, FINAL)

    def set_silent(self, *, quiet: bool) -> None: ...

    def finalize(self) -> None: ...

    async def run(self) -> None:
        await self._closed.wait()

    async def close(self) -> None:
        if self._waits:
            self._say(FINAL)
        self._closed.set()


def opening(after_s: float | None) -> Any:
    def open_session(on_transcript: Callable[[Transcript], None], ring: Ring, lose: Lose) -> Any:
        return OneFinal(on_transcript, after_s)

    return open_session


async def test_the_final_for_which_a_session_is_closed_has_its_time_though_the_clock_has_not_moved_since() -> None:
    """The clock of uvloop stands still for a whole round of the loop."""
    hearing = await listen(SPEECH, opening(after_s=0.85))

    assert hearing.text == "שלום"
    (final,) = hearing.latencies.finals
    assert final == pytest.approx(850.0, abs=1)
    assert hearing.heard_s < 1.9, "and no more silence is sent"


async def test_a_final_that_comes_with_the_closing_is_text_and_has_no_time() -> None:
    hearing = await listen(SPEECH, opening(after_s=None))

    assert hearing.text == "שלום"
    assert hearing.latencies.finals == ()
    assert hearing.heard_s == pytest.approx(5.0)
