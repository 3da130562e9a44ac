"""Whole talks over a session with Soniox, and what goes wrong in them: every word once, and where it was said."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from batkol.recognizers.streaming.errors import SpeechError
from batkol.simulators.soniox.faults import SonioxFault, SonioxFaultKind, SonioxMoment
from batkol.voices.marked.voice import script
from support.soniox.talk import SETTINGS, SonioxTalk, talk

AUDIO = script((("שלום", "תודה", "בבקשה"), ("רוצה", "פגישה", "חשבון"), ("כתובת", "מתי")), gap_ms=900, tail_ms=600)
SAID = [word.text for word in AUDIO.words]
MID = (AUDIO.words[1].start + AUDIO.words[1].end) / 2 / 8000
"""Seconds of audio at which the second word is being said."""

BETWEEN = AUDIO.utterances[0].end / 8000 + 0.5


def _fault(kind: SonioxFaultKind, **fields: object) -> SonioxFault:
    return SonioxFault(**{"kind": kind, "when": SonioxMoment.AUDIO, "seconds": MID, "sessions": (1,), **fields})  # type: ignore[arg-type]


def _right(heard: SonioxTalk) -> bool:
    return heard.text == SAID and not heard.misplaced(AUDIO.words) and heard.failure is None


async def test_every_word_of_a_talk_is_heard_once_and_where_it_was_said() -> None:
    heard = await talk(AUDIO)

    assert _right(heard), heard.text
    assert heard.partials
    (record,) = heard.double.records
    assert (record.ending, len(record.finalizes)) == ("finished", 3)


def _row(reason: str, kind: SonioxFaultKind, *, by_day: bool = False, **fields: object) -> Any:
    marks = () if by_day else (pytest.mark.nightly,)
    return pytest.param(_fault(kind, **fields), reason, marks=marks)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        _row("restart", SonioxFaultKind.ERROR, code=503, by_day=True),
        _row("internal", SonioxFaultKind.ERROR, code=500),
        _row("session_limit", SonioxFaultKind.ERROR, code=413),
        _row("no_audio", SonioxFaultKind.ERROR, code=408, seconds=BETWEEN),
        _row("restart", SonioxFaultKind.ERROR, code=503, when=SonioxMoment.FINALIZE),
        _row("half_open", SonioxFaultKind.HALF_OPEN),
        _row("half_open", SonioxFaultKind.HALF_OPEN, seconds=BETWEEN),
        _row("closed", SonioxFaultKind.DROP),
        _row("closed", SonioxFaultKind.DROP, when=SonioxMoment.FINALIZE),
        _row("unavailable", SonioxFaultKind.REFUSE, when=SonioxMoment.OPEN, seconds=0),
        _row("restart", SonioxFaultKind.ERROR, code=503, when=SonioxMoment.START),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind}-{value.when}",
)
async def test_another_session_goes_on_and_no_word_is_lost_doubled_or_misplaced(
    fault: SonioxFault, reason: str
) -> None:
    dead = fault.kind is SonioxFaultKind.HALF_OPEN
    heard = await talk(AUDIO, fault, ping=(0.05, 0.5) if dead else (1.0, 30.0))

    assert _right(heard), heard.text
    assert len(heard.double.records) == 2 or dead
    assert reason in [*heard.owner.replaced, *heard.owner.failures]


_HALF_GAP = 450 * 8
_SPOKEN = [utterance.text for utterance in AUDIO.utterances]


def _attributed(heard: SonioxTalk) -> list[str]:
    """The words by the utterance that their places lie in, with half of the pauses around it."""
    assert heard.failure is None
    return [
        " ".join(word.text for word in heard.words if span.start - _HALF_GAP < word.place <= span.end + _HALF_GAP)
        for span in AUDIO.utterances
    ]


UNTIDY = msgspec.structs.replace(SETTINGS, untidy=True, revised=0.3)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(1, 12))])
async def test_tokens_that_change_their_mind_and_times_that_go_back_cost_no_word(seed: int) -> None:
    heard = await talk(AUDIO, settings=msgspec.structs.replace(UNTIDY, seed=seed))

    assert _attributed(heard) == _SPOKEN


LONG = script((("שלום", "תודה", "בבקשה", "רוצה", "פגישה", "חשבון", "כתובת", "מתי", "שלום"),), tail_ms=600)
LATE = (LONG.words[7].start + LONG.words[7].end) / 2 / 8000


@pytest.mark.parametrize(
    ("times_ms", "totals_ms"),
    [
        (1e9, None),
        pytest.param(1e9, 0, marks=pytest.mark.nightly),
        pytest.param(1e9, 1e9, marks=pytest.mark.nightly),
        pytest.param(UNSET, 1e9, marks=pytest.mark.nightly),
        pytest.param(-5000, -5000, marks=pytest.mark.nightly),
        pytest.param(None, None, marks=pytest.mark.nightly),
    ],
)
async def test_a_message_whose_times_cannot_be_costs_no_word_where_another_session_goes_on(
    times_ms: float | UnsetType | None, totals_ms: float | UnsetType | None
) -> None:
    """Its words were spoken two seconds ago, and those behind them are not final when the session ends."""
    wrong = _fault(SonioxFaultKind.WRONG_TIMES, times_ms=times_ms, totals_ms=totals_ms)
    heard = await talk(LONG, wrong, _fault(SonioxFaultKind.ERROR, code=503, seconds=LATE), speed=2)

    assert (heard.text, heard.failure) == ([word.text for word in LONG.words], None)
    assert len(heard.double.records) == 2


async def test_a_message_whose_times_alone_cannot_be_moves_no_word_to_another_utterance() -> None:
    heard = await talk(AUDIO, _fault(SonioxFaultKind.WRONG_TIMES, times_ms=1e9))

    assert _attributed(heard) == _SPOKEN


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [SonioxFaultKind.DROP, SonioxFaultKind.ERROR])
@pytest.mark.parametrize("seconds", [MID, BETWEEN], ids=["mid", "between"])
async def test_nor_do_they_where_another_session_takes_over(seed: int, kind: SonioxFaultKind, seconds: float) -> None:
    fault = _fault(kind, seconds=seconds)
    heard = await talk(AUDIO, fault, settings=msgspec.structs.replace(UNTIDY, seed=seed))

    assert _attributed(heard) == _SPOKEN
    assert len(heard.double.records) == 2


@pytest.mark.nightly
async def test_a_hang_is_found_while_the_caller_speaks() -> None:
    heard = await talk(AUDIO, _fault(SonioxFaultKind.STALL), stall=0.6, speed=2)

    assert _right(heard), heard.text
    assert "stalled" in heard.owner.replaced


async def test_a_planned_change_of_sessions_in_speech_loses_nothing() -> None:
    heard = await talk(AUDIO, settings=SETTINGS, rotate=(0.25, 0.4))

    assert _right(heard), heard.text
    assert len(heard.owner.cuts) >= 1
    assert {record.ending for record in heard.double.records} == {"finished"}


@pytest.mark.nightly
async def test_marks_of_punctuation_make_no_two_words_of_one_at_a_seam() -> None:
    marked = msgspec.structs.replace(SETTINGS, punctuates=True)
    heard = await talk(AUDIO, _fault(SonioxFaultKind.DROP, seconds=BETWEEN), settings=marked)

    assert _right(heard), heard.text
    assert [word.text for word in heard.words if word.text.endswith(".")] != []


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("code", "reason"), [(401, "unauthenticated"), (402, "payment_required"), (429, "quota"), (400, "invalid_argument")]
)
async def test_a_refusal_that_no_other_session_would_mend_ends_it_with_what_was_heard(code: int, reason: str) -> None:
    heard = await talk(AUDIO, _fault(SonioxFaultKind.ERROR, code=code, seconds=BETWEEN + 0.6, sessions=()))

    assert isinstance(heard.failure, SpeechError)
    assert heard.failure.reason == reason
    assert heard.text == SAID[: len(heard.text)]
    assert len(heard.text) >= 3
    assert len(heard.double.records) == 1


@pytest.mark.nightly
async def test_talks_at_once_do_not_disturb_each_other() -> None:
    one, other = await asyncio.gather(talk(AUDIO), talk(AUDIO, _fault(SonioxFaultKind.DROP)))

    assert _right(one)
    assert _right(other)
