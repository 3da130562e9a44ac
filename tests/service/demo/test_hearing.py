"""What an ear heard of the demo's replies: by its own samples, whatever the service says."""

from __future__ import annotations

from typing import Any

import pytest

from batkol.demo.hearing import ReplyEar, pieces_of, stretches, tracks
from batkol.demo.script import GREETING, SCRIPT, SHORT_SCRIPT
from batkol.events.events import ReplyResumed, ReplySentence
from batkol.simulators.client.reply_record import WatchedReply
from batkol.simulators.twilio.ear import Ear
from batkol.voices.builtin import BuiltinVoice
from batkol.voices.marked.voice import WORDS

ANSWER = "שלום. אני רוצה לקבוע פגישה. תודה."


def reply(turn: int, *pieces: str, resumed: int = 0) -> WatchedReply:
    made: dict[str, Any] = {"call_sid": "CA1", "seq": 1, "at": 0.0, "reply_id": f"r{turn}", "turn": turn}
    found = WatchedReply(turn)
    found.sentences += [ReplySentence(index=at, text=text, begin_ms=0, **made) for at, text in enumerate(pieces)]
    found.resumptions += [ReplyResumed(index=0, **made) for _ in range(resumed)]
    return found


async def test_words_count_as_heard_up_to_the_sample_at_which_the_reply_was_cut() -> None:
    known = await tracks(BuiltinVoice(), {ANSWER: pieces_of(ANSWER)})
    sound = known[ANSWER].sound_from(0)
    hearing, now = ReplyEar(known), 50.0
    ear = Ear(clock=lambda: now)
    ear.append(sound, 10.0)
    whole = hearing.of(reply(1, *pieces_of(ANSWER)), [], ear)
    ear.append(sound, 30.0)
    second = known[ANSWER].pieces[1]
    cut_at = 30.0 + (second.begin + second.word_ends[1]) / 8000 + 0.05
    ear.clear(cut_at)
    cut = hearing.of(reply(2, *pieces_of(ANSWER)[:2]), [reply(1)], ear)

    assert whole is not None
    assert (whole.text, whole.cut, whole.words) == (ANSWER, False, 6)
    assert cut is not None
    assert (cut.text, cut.cut) == ("שלום. אני רוצה", True)
    assert cut.ends_at == pytest.approx(cut_at, abs=0.001)


async def test_a_reply_that_made_no_sound_was_not_heard() -> None:
    hearing = ReplyEar(await tracks(BuiltinVoice(), {ANSWER: pieces_of(ANSWER)}))

    assert hearing.of(reply(1, "שלום."), [], Ear()) is None


def test_a_pause_of_less_than_a_second_is_within_a_reply() -> None:
    ear = Ear(clock=lambda: 50.0)
    for at in (10.0, 11.5, 14.0):
        ear.append(bytes(8000), at)
    ear.clear(14.5)
    ear.append(bytes(800), 14.6)

    assert [(one.begins_at, one.samples, one.cut) for one in stretches(ear)] == [
        (10.0, 16_000, False),
        (14.0, 4000, True),
        (14.6, 800, False),
    ]


@pytest.mark.parametrize("script", [SCRIPT, SHORT_SCRIPT], ids=["whole", "short"])
def test_the_script_can_be_said_and_has_a_hum_and_an_interruption_at_pieces_that_there_are(script: Any) -> None:
    assert all(word in WORDS for turn in script for word in turn.words)
    assert len({turn.text for turn in script}) == len(script)
    for turn, following in zip(script, (*script[1:], None), strict=True):
        pieces = pieces_of(turn.answer)
        assert " ".join(pieces) == turn.answer
        assert max(turn.hum_at or 0, turn.interrupted_at or 0) < len(pieces)
        assert turn.interrupted_at is None or (following is not None and following.mode == turn.mode)
    assert [turn.hum_at is not None for turn in script].count(True) == 1
    assert [turn.interrupted_at is not None for turn in script].count(True) == 1
    assert {turn.mode for turn in script} == {"streaming", "single"}
    assert GREETING
