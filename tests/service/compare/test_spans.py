import numpy as np

from batkol.audio import mulaw
from batkol.audio.segmenter import CERTAIN_MS, SegmenterSettings
from batkol.compare.spans import find_spans
from batkol.vad.webrtc import WebRtcEngine
from batkol.voices.marked.voice import script
from support.vad.level_engine import LevelEngine

MS = 8


def test_spans_end_with_the_words_and_have_the_pauses_in_them() -> None:
    audio = script((("שלום", "אני"), ("רוצה",), ("תור", "מחר")), gap_ms=300, lead_ms=400, tail_ms=900)
    (span,) = find_spans(audio.mulaw, WebRtcEngine(), SegmenterSettings())

    assert abs(span.begin - audio.words[0].start) <= 60 * MS
    assert abs(span.end - audio.words[-1].end) <= 30 * MS, "not where the engine stops hearing speech"
    assert span.decided_at - span.end > 400 * MS
    ends = [utterance.end for utterance in audio.utterances]
    assert len(span.pauses) == 3
    assert all(0 < pause - end < 250 * MS for pause, end in zip(span.pauses, ends, strict=True))
    assert len(span.resumed) == 2, "speech goes on after each pause but the last"
    assert all(pause < again for pause, again in zip(span.pauses, span.resumed, strict=False))


def test_a_longer_silence_ends_a_span_and_so_does_that_behind_a_sound_which_is_cut_off_at_its_last_word() -> None:
    audio = script((("שלום", "אני"), ("תור", "מחר")), gap_ms=1500, lead_ms=0, tail_ms=0)
    first, last = find_spans(audio.mulaw, WebRtcEngine(), SegmenterSettings())

    assert abs(first.end - audio.utterances[0].end) <= 30 * MS
    assert last.end <= len(audio.mulaw)
    assert len(last.pauses) == 1
    assert last.end < last.pauses[0] < last.decided_at
    assert last.decided_at - last.end > 480 * MS, "the detector waits for as long as in a call"


def test_after_a_short_silence_a_span_ends_only_where_it_is_quiet_as_in_a_call() -> None:
    sound = mulaw.encode(np.full(20 * LevelEngine.window, 4000, np.int16))
    noise = mulaw.encode(np.random.default_rng(1).integers(-900, 901, 8000).astype(np.int16))
    short = SegmenterSettings(silence_ms=200)
    (noisy,) = find_spans(sound + noise, LevelEngine(), short)
    (quiet,) = find_spans(sound, LevelEngine(), short)

    assert (noisy.decided_at - len(sound), quiet.decided_at - len(sound)) == (CERTAIN_MS * MS, 224 * MS)


def test_silence_has_no_span() -> None:
    assert find_spans(mulaw.silence(16_000), WebRtcEngine(), SegmenterSettings()) == ()
