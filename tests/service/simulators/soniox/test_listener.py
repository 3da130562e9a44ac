"""A session as Soniox plays it, without a socket: tokens, finals, markers, limits. Times are the audio's."""

from itertools import pairwise
from typing import Any

import pytest

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.simulators.soniox.rules import SonioxRefusalError
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.voices.marked.voice import script
from support.soniox.heard import MESSAGE, HeardSession

FIRST, SECOND = ("שלום", "כתובת", "חשבון"), ("פגישה", "מחר")
AUDIO = script((FIRST, SECOND), gap_ms=1200)
ONE = script((FIRST,), tail_ms=200)
LATER = '{"type":"keepalive"}'
FINALIZE = '{"type":"finalize"}'


def _heard(settings: SonioxDoubleSettings | None = None, **start: Any) -> HeardSession:
    session = HeardSession(settings, **start)
    session.speak(AUDIO.mulaw)
    session.finish()
    return session


def test_the_final_tokens_are_the_words_once_and_in_order() -> None:
    session = _heard()

    assert session.final_text == " ".join((*FIRST, *SECOND))
    assert session.said[-1] == {
        "tokens": [],
        "final_audio_proc_ms": len(AUDIO.mulaw) // 8,
        "total_audio_proc_ms": len(AUDIO.mulaw) // 8,
        "finished": True,
    }


def test_tokens_are_pieces_of_words_with_times_and_a_space_before_each_word() -> None:
    session = _heard(SonioxDoubleSettings(spaced=0.5), enable_language_identification=True)
    finals = list(session.tokens(final=True))

    assert len(finals) > len(FIRST) + len(SECOND)
    assert {token["text"] for token in finals if not token["text"].strip()} == {" "}
    assert any(token["text"].startswith(" ") and token["text"].strip() for token in finals)
    assert {token["language"] for token in finals} == {"he"}
    assert all(0 < token["confidence"] <= 1 for token in finals)
    assert all(before["end_ms"] <= after["end_ms"] for before, after in pairwise(finals))
    last = AUDIO.words[-1]
    assert abs(finals[-1]["end_ms"] - last.end // SAMPLES_PER_MS) <= 10


def test_what_is_not_final_comes_with_every_message_until_it_is_and_changes_meanwhile() -> None:
    session = _heard(SonioxDoubleSettings(revised=0.3))
    open_texts = [
        "".join(token["text"] for token in message["tokens"] if not token["is_final"]) for message in session.said
    ]

    grown = [text for text in open_texts if text]
    assert len(grown) > 10
    assert any(not after.startswith(before) for before, after in pairwise(grown))
    assert all(set(message) >= {"tokens", "final_audio_proc_ms", "total_audio_proc_ms"} for message in session.said)


def test_a_token_becomes_final_by_its_age_and_the_word_it_is_a_piece_of_may_be_cut_there() -> None:
    session = _heard()
    cut = [
        message
        for message in session.said
        for final, follows in pairwise(message["tokens"])
        if final["is_final"] and not follows["is_final"] and not follows["text"].startswith(" ")
    ]

    assert cut


def test_finalize_makes_all_final_and_says_so_while_the_session_goes_on() -> None:
    session = HeardSession(SonioxDoubleSettings(finalize_s=0.05, padding_s=0.1))
    session.speak(ONE.mulaw)
    session.send(FINALIZE)
    asked_at = session.now
    session.pass_time(0.149)
    before = session.final_text
    session.pass_time(0.002)
    session.speak(script((SECOND,)).mulaw)
    session.finish()

    assert before == ""
    assert session.final_text == f"{' '.join(FIRST)}<fin> {' '.join(SECOND)}"
    assert next(token for token in session.tokens(final=True) if token["text"] == "<fin>").keys() == {
        "text",
        "confidence",
        "is_final",
    }
    assert asked_at == pytest.approx(len(ONE.mulaw) / 8000)


@pytest.mark.parametrize("messages", range(8, 20))
def test_tokens_that_are_about_to_be_final_by_themselves_do_not_hold_up_a_finalize(messages: int) -> None:
    session = HeardSession(SonioxDoubleSettings(finalize_s=0.05, final_after_ms=1000))
    session.speak(AUDIO.mulaw[: messages * MESSAGE])
    session.send(FINALIZE)
    session.pass_time(0.051)

    assert session.final_text.endswith("<fin>")


def test_silence_that_was_sent_already_is_not_waited_for_again() -> None:
    session = HeardSession(SonioxDoubleSettings(finalize_s=0.05, padding_s=0.1))
    session.speak(ONE.mulaw)
    session.send('{"type":"finalize","trailing_silence_ms":200}')
    session.pass_time(0.051)

    assert session.final_text.endswith("<fin>")


def test_a_finalize_in_mid_word_costs_the_word() -> None:
    session = HeardSession()
    word = AUDIO.words[1]
    session.speak(AUDIO.mulaw[: (word.start + word.end) // 2])
    session.send(FINALIZE)
    session.speak(AUDIO.mulaw[(word.start + word.end) // 2 :])
    session.finish()

    heard = session.final_text.replace("<fin>", "").split()
    assert FIRST[1] not in heard
    assert heard[-2:] == list(SECOND)


def test_the_end_of_an_utterance_is_found_where_that_is_asked_for() -> None:
    asked = _heard(enable_endpoint_detection=True, max_endpoint_delay_ms=500)
    unasked = _heard()

    assert asked.final_text.replace(" ", "") == f"{''.join(FIRST)}<end>{''.join(SECOND)}<end>"
    assert "<end>" not in unasked.final_text


def test_a_full_stop_is_a_token_without_a_length() -> None:
    session = HeardSession(SonioxDoubleSettings(punctuates=True))
    session.speak(ONE.mulaw)
    session.send(FINALIZE)
    session.finish()
    finals = list(session.tokens(final=True))

    assert session.final_text == f"{' '.join(FIRST)}.<fin>"
    assert finals[-2]["start_ms"] == finals[-2]["end_ms"] == finals[-3]["end_ms"]


# -- limits ------------------------------------------------------------------------------------------------------


def _refused(session: HeardSession, seconds: float) -> SonioxRefusalError:
    with pytest.raises(SonioxRefusalError) as refused:
        session.pass_time(seconds)
    return refused.value


def test_twenty_seconds_without_audio_or_keepalive_end_the_session() -> None:
    session = HeardSession()
    session.speak(ONE.mulaw)
    session.pass_time(19.9)
    session.send(LATER)
    session.pass_time(19.9)
    refusal = _refused(session, 0.2)

    assert (refusal.code, refusal.kind, refusal.text) == (408, "request_timeout", "Request timeout.")


def test_no_audio_at_all_is_said_in_other_words() -> None:
    refusal = _refused(HeardSession(), 21.0)

    assert (refusal.code, refusal.text) == (408, "Timed out while waiting for the first audio chunk")


def test_the_end_of_the_audio_without_any_audio_is_refused() -> None:
    with pytest.raises(SonioxRefusalError, match=r"400: No audio received\."):
        HeardSession().send("")


def test_audio_faster_than_real_time_is_refused_when_it_lasts() -> None:
    session = HeardSession()
    session.listener.receive(b"\xff" * 8000 * 4, session.now)
    with pytest.raises(SonioxRefusalError, match="400: Received too much audio data"):
        session.listener.receive(b"\xff" * 8000 * 2, session.now)


def test_a_session_ends_when_it_has_had_its_audio() -> None:
    session = HeardSession(SonioxDoubleSettings(session_limit_s=2.0))
    with pytest.raises(SonioxRefusalError) as refused:
        session.speak(AUDIO.mulaw)

    assert (refused.value.code, refused.value.kind) == (413, "max_duration_reached")
    assert session.now == pytest.approx(2.1)


def test_finalize_too_often_ends_the_session() -> None:
    session = HeardSession()
    session.speak(ONE.mulaw)
    for _ in range(10):
        session.send(FINALIZE)
        session.pass_time(0.5)
    with pytest.raises(SonioxRefusalError, match="503: Cannot continue request"):
        session.send(FINALIZE)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ('{"type":"pause"}', "Control request invalid type."),
        ('{"type":"finalize","silence":3}', "Control request is malformed."),
        ('{"type":"keepalive","trailing_silence_ms":3}', "Control request is malformed."),
        ("finalize", "Control request is malformed."),
    ],
)
def test_a_message_that_is_no_control_is_refused(message: str, text: str) -> None:
    with pytest.raises(SonioxRefusalError) as refused:
        HeardSession().send(message)

    assert refused.value.code == 400
    assert refused.value.text.startswith(text)


# -- faults ------------------------------------------------------------------------------------------------------


def _struck(kind: SonioxFaultKind, **fields: Any) -> HeardSession:
    session = HeardSession(SonioxDoubleSettings(finalize_s=0.05, padding_s=0.0))
    session.listener.arm((SonioxFault(kind=kind, **fields),), 0.0)
    return session


def test_an_error_comes_in_mid_session_with_its_code() -> None:
    session = _struck(SonioxFaultKind.ERROR, code=503, when=SonioxMoment.AUDIO, seconds=1.0)
    with pytest.raises(SonioxRefusalError) as refused:
        session.speak(AUDIO.mulaw)

    assert refused.value.message["error_type"] == "service_unavailable"
    assert refused.value.text.startswith("Cannot continue request (code 1). Please restart the request.")
    assert session.now == pytest.approx(1.05)


def test_a_session_that_stalls_says_nothing_any_more_not_even_at_its_end() -> None:
    session = _struck(SonioxFaultKind.STALL, when=SonioxMoment.AUDIO, seconds=1.0)
    session.speak(AUDIO.mulaw)
    said = len(session.said)
    session.finish()

    assert said == len(session.said) > 0
    assert not session.listener.finished


def test_a_session_hears_nothing_and_is_well_otherwise() -> None:
    session = _struck(SonioxFaultKind.SILENCE, when=SonioxMoment.FIRST_AUDIO)
    session.listener.strike(SonioxMoment.FIRST_AUDIO, 0.0)
    session.speak(ONE.mulaw)
    session.send(FINALIZE)
    session.finish()

    assert session.final_text == "<fin>"
    assert session.listener.finished


def test_finals_are_slow_or_held() -> None:
    slow = _struck(SonioxFaultKind.SLOW_FINALS, when=SonioxMoment.FIRST_AUDIO, latency_s=1.5)
    held = _struck(SonioxFaultKind.HELD_FINALS, when=SonioxMoment.FIRST_AUDIO)
    for session in (slow, held):
        session.speak(ONE.mulaw)
        session.send(FINALIZE)
    slow.pass_time(1.4)
    early = slow.final_text
    slow.pass_time(0.2)
    held.pass_time(10.0)

    assert (early, slow.final_text) == ("", f"{' '.join(FIRST)}<fin>")
    assert held.final_text == ""


def test_the_next_message_with_a_final_token_has_times_that_cannot_be_and_no_other_one() -> None:
    wrong = _struck(SonioxFaultKind.WRONG_TIMES, when=SonioxMoment.FIRST_AUDIO, times_ms=1e9, totals_ms=None)
    wrong.speak(AUDIO.mulaw)
    wrong.finish()
    settled = [message for message in wrong.said if any(token["is_final"] for token in message["tokens"])]
    totals = [message["total_audio_proc_ms"] for message in wrong.said]

    assert len(settled) > 1
    assert {token["end_ms"] for token in settled[0]["tokens"] if "end_ms" in token} == {1e9}
    assert totals.count(None) == 1
    assert settled[0]["total_audio_proc_ms"] is None
    assert all(token.get("end_ms", 0) < 1e9 for message in settled[1:] for token in message["tokens"])
