"""The calls that `batkol compare` takes from the store: corrected to the end, and recorded."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from batkol.audio import mulaw
from batkol.audio.wav import wav_file
from batkol.compare.carrying_out import CompareOptions, carry_out
from batkol.compare.known_speech import SpeechSpan
from batkol.compare.reading import Channel
from batkol.compare.stored_calls import read_corrected_calls
from batkol.errors import ConfigurationError
from batkol.simulators.google.server import SpeechDouble
from batkol.simulators.google.settings import DoubleSettings
from batkol.store.postgres.corrections import UtteranceKey, correct, correct_rest
from batkol.voices.marked.voice import say
from support.postgres.records import began, heard, sid, who
from support.postgres.store_parts import Kept

SAID = "רציתי לקבוע תור"


def one_span(sound: bytes) -> tuple[SpeechSpan, ...]:
    return (SpeechSpan(0, len(sound), len(sound)),)


async def test_calls_that_are_corrected_to_the_end_and_recorded_are_compared_as_a_whole(
    kept: Kept, tmp_path: Path
) -> None:
    for call in range(4):
        kept.say([began(who(call)), heard(0, who(call)), heard(1, who(call))])
    await kept.written()
    for call in (0, 1):
        assert await correct(kept.database.reading, UtteranceKey(sid(call), who(call).stream_sid, 0), SAID, "dana")
        assert await correct_rest(kept.database.reading, sid(call), "dana") == 1
    assert await correct(kept.database.reading, UtteranceKey(sid(2), who(2).stream_sid, 0), SAID, "dana")
    calls = await read_corrected_calls(kept.where.dsn)

    assert calls.said == {sid(call): f"{SAID} {heard(1).text}" for call in (0, 1)}
    assert calls.unfinished == {sid(2): 1}
    notes: list[str] = []
    with pytest.raises(ConfigurationError, match="corrected to the end and has a recording"):
        await calls.with_recordings(tmp_path, find_spans=one_span, channel=Channel.MIX, note=notes.append)
    (tmp_path / f"{sid(0)}.wav").write_bytes(wav_file(b"\x01\x02" * 800))
    notes.clear()
    (speech,) = await calls.with_recordings(tmp_path, find_spans=one_span, channel=Channel.MIX, note=notes.append)

    assert (speech.group, speech.said, speech.seconds) == (sid(0), calls.said[sid(0)], 0.1)
    assert [note.split(" is left out: ")[0] for note in notes] == [sid(2), sid(1)]
    assert "1 of its utterances has no correction." in notes[0]
    assert f"batkol correct {sid(2)} --rest-as-heard" in notes[0]


async def test_a_corrected_call_is_compared_by_the_words_of_the_person_and_not_by_those_that_were_heard(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoken = say(["אני", "רוצה", "תור"])
    sound = mulaw.decode(spoken.mulaw).astype("<i2").tobytes()
    (tmp_path / f"{sid(0)}.wav").write_bytes(wav_file(sound))
    kept.say([began(), heard(0, text="אני רצה דור")])
    await kept.written()
    assert await correct(kept.database.reading, UtteranceKey(sid(0), who().stream_sid, 0), spoken.text, "dana")
    out = io.StringIO()
    async with SpeechDouble(DoubleSettings(unary_latency_s=0.01)) as double:
        monkeypatch.setenv("GCP_STT_ENDPOINT", f"127.0.0.1:{await double.start()}")
        monkeypatch.setenv("GCP_STT_INSECURE", "true")
        monkeypatch.setenv("VAD", "webrtc")
        options = CompareOptions(recordings=tmp_path, database_url=kept.where.dsn, names=("single",))
        code = await carry_out(options, Console(file=out, width=160), Console(file=io.StringIO()))

    assert code == 0
    assert "3 words." in out.getvalue()
    assert "1 of 1" in out.getvalue(), "the text was right"
