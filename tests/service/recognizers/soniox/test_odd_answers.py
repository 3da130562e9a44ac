"""Answers whose words and times make no sense: whatever they are, the call's time line holds."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from batkol.recognizers.soniox.portions import PortionReader
from batkol.recognizers.soniox.wire import parse
from batkol.speech.results import Portion
from batkol.speech.timeline import Timeline
from support.properties import few_by_day

TIMES = st.sampled_from([None, 0, -1, -5000, 100, 300.5, 700, 1500, 3000, 10**7, 10**30, 1e300, "nan", "inf"])
TEXTS = st.sampled_from(
    [None, "", " ", "א", " שלום", "לום ", "<fin>", "<end>", "?", " \u200f", "\x00", "א\nב", "👋", "\ufeff", " א" * 300]
)
TOKEN = st.fixed_dictionaries({"text": TEXTS, "start_ms": TIMES, "end_ms": TIMES, "is_final": st.booleans()})
ANSWER = st.fixed_dictionaries(
    {
        "tokens": st.lists(TOKEN, max_size=5),
        "total_audio_proc_ms": TIMES,
        "final_audio_proc_ms": TIMES,
        "finished": st.sampled_from([None, False, True]),
    }
)
BASE = 8000
LATER = 80_000
"""Samples in which times can come right again: of 1,500 words in one place each is a millisecond behind the last."""


def _read(reader: PortionReader, answer: dict[str, Any], sent: int) -> list[Portion]:
    portions = reader.read(parse(msgspec.json.encode(answer)), sent_ms=sent // 8)
    return [portion.within(sent) for portion in portions]


@few_by_day(150)
@given(st.lists(st.tuples(ANSWER, st.integers(0, 16_000)), min_size=1, max_size=5))
@example([({"tokens": [{"text": "א", "start_ms": -900, "end_ms": -100, "is_final": True}], "finished": True}, 0)])
def test_no_text_lies_before_what_was_sent_or_behind_it_and_nothing_is_taken_back(
    answers: list[tuple[dict[str, Any], int]],
) -> None:
    reader, line = PortionReader(), Timeline(start=BASE)
    passage, sent, mark = line.follow(BASE), 0, line.watermark
    for answer, more in answers:
        sent += more
        portions = [portion.within(sent) for portion in _read(reader, answer, sent)]
        placed = line.place(passage, portions)

        assert all(0 <= word.start <= word.end <= each.end <= sent for each in portions for word in each.words)
        assert all(BASE <= each.start <= each.end <= BASE + sent for each in placed), placed
        assert mark <= line.watermark <= BASE + sent
        mark = line.watermark


@few_by_day(150)
@given(st.lists(st.tuples(ANSWER, st.integers(0, 16_000)), min_size=1, max_size=5))
@example([({"tokens": [{"text": "א", "start_ms": 10**9, "end_ms": 10**9, "is_final": True}]}, 1600)])
def test_whatever_came_before_a_right_answer_is_heard_where_it_was_said(
    answers: list[tuple[dict[str, Any], int]],
) -> None:
    reader, line = PortionReader(), Timeline(start=BASE)
    passage, sent = line.follow(BASE), 0
    for answer, more in answers:
        sent += more
        line.place(passage, _read(reader, answer, sent))
    sent += LATER
    now = sent // 8
    word = {"text": " תודה", "start_ms": now - 400, "end_ms": now - 100, "is_final": True}
    right = {
        "tokens": [word, {"text": "<fin>", "is_final": True}],
        "total_audio_proc_ms": now,
        "final_audio_proc_ms": now,
    }
    heard = line.place(passage, _read(reader, right, sent))[0]

    assert heard.final
    assert (heard.words[-1].text, heard.words[-1].end) == ("תודה", BASE + (now - 100) * 8)
