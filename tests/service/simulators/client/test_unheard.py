"""The sentence about a call of which no word was recognized: whose fault it may be, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from batkol.events.events import AnyEvent, CallEnded, CallStarted, FinalText, UtteranceStarted
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.recording import Recording
from batkol.simulators.client.unheard import cannot_hear, why_unheard
from batkol.status import BreakerStatus, RecognizerStatus, ServiceStatus, StreamingRecognizerStatus

OF: dict[str, Any] = {"call_sid": "CA1", "seq": 1, "at": 0.0}
IN: dict[str, Any] = OF | {"utterance_id": "CA1-0", "index": 0}
STARTED = CallStarted(**OF, agent="", direction="rehearsal", streaming=True)
SPOKE = UtteranceStarted(**IN, begin_ms=0, speech_ms=300, mode="streaming", flag_variant="on", flag_reason="STATIC")
GOOGLE, DOUBLE = "google", "127.0.0.1:50051"
LOUD = Recording("phone.wav", b"", 0, 0, -20.0)
FAINT = Recording("phone.wav", b"", 0, 0, -63.0)


def final(text: str = "", words: int = 0) -> FinalText:
    return FinalText(
        **IN, text=text, source="final", mode="streaming", begin_ms=0, end_ms=900, words=words, partials=0,
        first_partial_ms=None, latency_ms=500.0,
    )  # fmt: skip


def ended(fallbacks: int = 0) -> CallEnded:
    return CallEnded(
        **OF, reason="stop", duration_s=3.0, utterances=1, words=0, finals={}, fallbacks=fallbacks, sessions=1,
        gap_ms=0, close_code=1000,
    )  # fmt: skip


def watched(*events: AnyEvent) -> CallWatch:
    watch = CallWatch("CA1")
    for event in events:
        watch.observe(event)
    return watch


def state(endpoint: str = GOOGLE, remedy: str = "", **refused: str) -> ServiceStatus:
    steps = {"streaming": BreakerStatus(state="closed", used_by="every call")}
    steps |= {step: BreakerStatus(state="open", reason=reason, remedy=remedy) for step, reason in refused.items()}
    recognizer = RecognizerStatus(endpoint=endpoint, language="he-IL", health=steps)
    return ServiceStatus(version="1", draining=False, active_calls=0, max_calls=1, recognizer=recognizer)


@pytest.mark.parametrize(
    ("watch", "status", "recording", "said"),
    [
        pytest.param(watched(), state(), LOUD, "another pod", id="another service"),
        pytest.param(
            watched(STARTED, ended()), state(), FAINT, "-63 dBFS in its loudest 20 ms. Record it louder", id="faint"
        ),
        pytest.param(watched(STARTED, ended()), state(), LOUD, "music, noise or tones", id="no speech"),
        pytest.param(watched(STARTED, ended()), state(), None, "spoke too briefly", id="no words"),
        pytest.param(watched(STARTED, SPOKE, final()), state(DOUBLE), LOUD, "built-in voice alone", id="the double"),
        pytest.param(watched(STARTED, SPOKE, final()), state(), None, "by chance alone", id="a synthetic voice"),
        pytest.param(watched(STARTED, SPOKE, final()), state(), LOUD, "no word in he-IL", id="another language"),
        pytest.param(watched(STARTED, SPOKE, ended(2)), state(), LOUD, "recognizer failed", id="failed"),
        pytest.param(
            watched(STARTED, SPOKE, ended(2)),
            state(single="unauthenticated"),
            LOUD,
            "single (unauthenticated). See `recognizer` in /v1/status",
            id="no credentials",
        ),
        pytest.param(
            watched(STARTED, SPOKE, ended(2)),
            state(remedy="Link a billing account.", streaming="permission_denied", single="permission_denied"),
            LOUD,
            "streaming (permission_denied), single (permission_denied). Link a billing account. See `recognizer`",
            id="no billing",
        ),
        pytest.param(watched(STARTED, SPOKE), None, LOUD, "made out no word: another", id="no status"),
    ],
)
def test_a_call_that_was_not_heard_has_a_reason(
    watch: CallWatch, status: ServiceStatus | None, recording: Recording | None, said: str
) -> None:
    assert said in why_unheard(watch, status, recording)


def test_a_call_without_streaming_says_that_no_streaming_recognizer_was_asked() -> None:
    watch = watched(msgspec.structs.replace(STARTED, streaming=False), SPOKE, ended(2))

    assert "because streaming is off for this call" in why_unheard(watch, state(single="credentials"), None)
    both = state(streaming="unauthenticated", single="unauthenticated")
    assert "streaming is off" not in why_unheard(watch, both, None)
    assert "streaming is off" not in why_unheard(watched(STARTED, SPOKE), state(single="credentials"), None)


@pytest.mark.parametrize("heard", [final("שלום", 1), final("", 1)], ids=["a text", "a token that reads none"])
def test_a_call_with_a_word_was_heard(heard: FinalText) -> None:
    assert why_unheard(watched(STARTED, SPOKE, heard), state(), LOUD) == ""


@pytest.mark.parametrize(
    ("endpoint", "recording", "told"),
    [
        (GOOGLE, LOUD, ""),
        ("me-west1-speech.googleapis.com:443", LOUD, ""),
        (DOUBLE, None, ""),
        (DOUBLE, LOUD, "omit --wav"),
        (GOOGLE, None, "give a recording"),
        ("speech.googleapis.com", None, "give a recording"),
        ("EU-speech.googleapis.com.:443", LOUD, ""),
        ("", LOUD, ""),
        ("speech.notgoogleapis.com:443", LOUD, "omit --wav"),
    ],
)
def test_a_voice_that_the_recognizer_does_not_know_is_said_before_the_call(
    endpoint: str, recording: Recording | None, told: str
) -> None:
    said: Callable[[ServiceStatus, Recording | None], str] = cannot_hear

    assert (told in said(state(endpoint), recording)) is True
    assert bool(said(state(endpoint), recording)) is bool(told)


@pytest.mark.parametrize(
    ("streaming", "single", "recording", "told"),
    [
        ("127.0.0.1:9100", GOOGLE, None, ""),
        ("127.0.0.1:9100", GOOGLE, LOUD, ""),
        ("127.0.0.1:9100", DOUBLE, LOUD, "The service asks 127.0.0.1:9100 and 127.0.0.1:50051, no host"),
        ("stt-rt.soniox.com", GOOGLE, None, "give a recording"),
        ("stt-rt.soniox.com", GOOGLE, LOUD, ""),
    ],
)
def test_a_streaming_recognizer_elsewhere_than_at_google_hears_as_well(
    streaming: str, single: str, recording: Recording | None, told: str
) -> None:
    here = state(single)
    steps = {"soniox/stt-rt-v5": StreamingRecognizerStatus(endpoint=streaming)}
    recognizer = msgspec.structs.replace(here.recognizer, streaming=steps)

    said = cannot_hear(msgspec.structs.replace(here, recognizer=recognizer), recording)

    assert told in said
    assert bool(said) == bool(told)
