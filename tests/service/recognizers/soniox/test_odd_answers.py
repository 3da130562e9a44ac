"""Answers whose words and times make no sense: whatever they are, the call's time line holds."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from batkol.recognizers.soniox.portions import PortionReader
from batkol.recognizers.soniox.wire import parse
from batkol.speech.timeline import Timeline
from support.properties import few_by_day

TIMES = st.sampled_from([None, 0, -1, -5000, 100, 700, 1500, 3000, 10**7, 10**30])
TEXTS = st.sampled_from(
    ["", " ", "א", " שלום", "לום ", "<fin>", "<end>", "?", " \u200f", "\x00", "א\nב", "👋", "\ufeff", " א" * 300]
)
TOKEN = st.fixed_dictionaries({"text": TEXTS, "start_ms": TIMES, "end_ms": TIMES, "is_final": st.booleans()})
ANSWER = st.fixed_dictionaries(
    {
        "tokens": st.lists(TOKEN, max_size=5),
        "total_audio_proc_ms": TIMES,
        "final_audio_proc_ms": TIMES,
        "finished": st.booleans(),
    }
)
BASE = 8000


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
        portions = [portion.within(sent) for portion in reader.read(parse(msgspec.json.encode(answer)))]
        placed = line.place(passage, portions)

        assert all(0 <= word.start <= word.end <= each.end <= sent for each in portions for word in each.words)
        assert all(BASE <= each.start <= each.end <= BASE + sent for each in placed), placed
        assert mark <= line.watermark <= BASE + sent
        mark = line.watermark
