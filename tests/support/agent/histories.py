"""Histories of calls, whatever the order of what happens in them: strategies for properties of the turn table."""

from __future__ import annotations

from hypothesis import strategies as st

from batkol.conversation.inputs import (
    CallerBegan,
    CallerLasted,
    CallerPaused,
    CallerStopped,
    CallOpened,
    DigitPressed,
    TextChanged,
    TextReached,
    TextRevised,
    TextSettled,
    TextWithdrawn,
)
from batkol.speech.turn_thresholds import TurnThresholds

utterances = st.integers(0, 4)
texts = st.sampled_from(["", "כן", "רגע", "אני רוצה פיצה", "אני רוצה", "המספר 052", "מהמ", "שלום אבל"])
heard = st.one_of(
    st.builds(CallerBegan, utterances),
    st.builds(TextChanged, utterances, texts, st.booleans()),
    st.builds(TextReached, utterances, texts),
    st.builds(TextWithdrawn, utterances, st.booleans()),
    st.builds(CallerLasted, utterances),
    st.builds(CallerPaused, utterances, st.just(0.0)),
    st.builds(CallerStopped, utterances, st.just(0.0)),
    st.builds(TextSettled, utterances, texts, st.booleans()),
    st.builds(TextRevised, utterances, texts.filter(bool)),
    st.just(CallOpened(greet=True)),
    st.builds(DigitPressed, st.sampled_from("12*#")),
)
own = st.sampled_from(
    ["sounds", "is played", "fails", "breaks", "waits for tools", "runs dry", "goes on", "has its results", "is queued"]
)
api = st.sampled_from(["is announced", "is announced", "takes the floor", "has sound", "has none", "is cleared"])
delays = st.sampled_from([0.0, 0.05, 0.2, 0.4, 1.3, 4.0, 11.0])
extremes = st.sampled_from([0, 1, 300, 60_000])
tunings = st.one_of(
    st.just(TurnThresholds()),
    st.builds(
        lambda filler_ms, later, others: TurnThresholds(filler_ms=filler_ms, apology_ms=filler_ms + later, **others),
        extremes,
        st.sampled_from([1, 2000]),
        st.fixed_dictionaries(
            {
                name: extremes
                for name in TurnThresholds.__struct_fields__
                if name not in {"filler_ms", "apology_ms", "idle_ms", "idle_prompts"}
            }
        ),
    ),
)
ends = st.sampled_from(["is to end", "is to end without a word", "is to be transferred", "is refused"])
histories = st.lists(st.tuples(st.one_of(heard, own, api), delays), max_size=40)
histories_that_end = st.lists(st.tuples(st.one_of(heard, own, api, ends), delays), max_size=40)
