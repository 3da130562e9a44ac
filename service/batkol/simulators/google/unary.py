"""The Recognize method: a whole utterance in, its transcript out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE
from batkol.simulators.google.answers import UnaryResponse, add_final, bill, word_times
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.google.finals import FinalPortions
from batkol.simulators.google.mishearing import StreamMishearing
from batkol.simulators.google.rules import check_unary
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google.stats import StreamRecord
from batkol.simulators.voice.recognizer import WordRecognizer
from batkol.voices.marked.voice import SpokenWord

_TURN: Final = 2 * SAMPLE_RATE  # bytes (1 s) heard before the other streams have their turn


async def recognize(
    request: Any,
    faults: Sequence[Fault],
    record: StreamRecord,
    settings: DoubleSettings,
    clock: Callable[[], float],
    *,
    mishearing: StreamMishearing,
) -> Any:
    """Answer a raw `RecognizeRequest`. Raises `RefusalError`; a stall ends only with the client's patience.

    Of the faults END, STALL, SILENCE and SLOW_FINALS befall a unary request, all at once when it comes.
    """
    befallen = {fault.kind: fault for fault in faults}
    if (fault := befallen.get(Kind.END)) is not None:
        raise fault.error
    size = check_unary(request, settings)
    record.configured(request.config)
    content = request.audio.content
    linear16 = content if size == 2 else mulaw.decode_to_bytes(content)
    record.received(clock(), len(linear16) / 2 / SAMPLE_RATE, record=settings.record)
    if Kind.STALL in befallen:
        await asyncio.Event().wait()
    slow = befallen.get(Kind.SLOW_FINALS)
    due = record.opened_at + (settings.unary_latency_s if slow is None else slow.latency_s)
    response, words = await _transcribe(request, linear16, settings, mishearing)
    record.record_words(words, clock())
    await asyncio.sleep(max(0.0, due - clock()))
    return UnaryResponse() if Kind.SILENCE in befallen else response


async def _transcribe(
    request: Any, linear16: bytes, settings: DoubleSettings, mishearing: StreamMishearing
) -> tuple[Any, list[SpokenWord]]:
    hearing = WordRecognizer(edges=settings.hears_edges)
    words = []
    for start in range(0, len(linear16), _TURN):
        words += hearing.feed(linear16[start : start + _TURN])
        await asyncio.sleep(0)
    words += hearing.finish()
    samples = len(linear16) // 2
    portions = FinalPortions(settings, lambda: 0.0)
    portions.append_words(mishearing.change(words), 0, 0.0)
    portions.finish(samples, 0.0)
    response = UnaryResponse()
    offsets = request.config.enable_word_time_offsets
    for number, portion in enumerate(portions.settle(0.0)):
        times = word_times(portion.words) if offsets else ()
        add_final(response.results.add(), portion.words, portion.end, first=not number, times=times)
    bill(response, samples)
    return response, words
