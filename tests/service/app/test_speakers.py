"""Who answers and who speaks in a turn: by the flags, or as the person at the phone in the console chose."""

from __future__ import annotations

import pytest

from batkol.answering.echo import Echo
from batkol.app.speakers import SpeakersByFlag, Speaking
from batkol.events.identity import AS_THE_FLAGS_SAY, Chosen
from batkol.flags.context import CallContext
from batkol.flags.flag import ReplyFallbacks
from batkol.flags.flags import Flags
from batkol.voices.builtin import BuiltinVoice

CALL = "CA1"


def speakers(flags: Flags, chosen: Chosen) -> SpeakersByFlag:
    speaking = Speaking(BuiltinVoice(), lambda _: None)
    return SpeakersByFlag(
        flags,
        answerers={"default": Echo(), "fast": Echo()},
        voices={"default": speaking, "warm": speaking},
        context_of=lambda sid: CallContext(call_sid=sid),
        chosen_of=lambda sid: chosen if sid == CALL else AS_THE_FLAGS_SAY,
    )


@pytest.mark.parametrize("replies", [True, False])
@pytest.mark.parametrize(
    ("chosen", "answers", "answerer", "voice"),
    [
        (AS_THE_FLAGS_SAY, None, "default", "default"),
        (Chosen(answerer="fast"), True, "fast", "default"),
        (Chosen(voice="warm"), None, "default", "warm"),
        (Chosen("default", "warm"), True, "default", "warm"),
    ],
)
async def test_what_was_chosen_for_a_call_goes_before_the_flags_and_holds_for_no_other_call(
    chosen: Chosen, answers: bool | None, answerer: str, voice: str, *, replies: bool
) -> None:
    """`answers` is None where the flags, or AGENT_REPLIES, decide it."""
    flags = await Flags.start(provider="env", fallback=True, replies=ReplyFallbacks(replies=replies))
    try:
        choose = speakers(flags, chosen)
        one, other = choose(CALL), choose("CA2")
    finally:
        await flags.close()

    assert (one.answerer is not None) is (replies if answers is None else answers)
    assert (one.answerer_variant, one.voice_variant) == (answerer, voice)
    assert (other.answerer is not None) is replies
    assert (other.answerer_variant, other.voice_variant) == ("default", "default")
