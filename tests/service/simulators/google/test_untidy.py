"""The profile `untidy`: interims change their mind in each of their ways, by seed, and finals are right."""

from __future__ import annotations

import random
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pytest
from google.cloud import speech_v1p1beta1 as speech
from hypothesis import given
from hypothesis import strategies as st

from batkol.errors import ConfigurationError
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google.stream import StreamRecognizer
from batkol.simulators.google.untidy import AGAIN_MS, LATENESS_S, Untidiness
from batkol.simulators.speech_double_cli import settings_from
from batkol.voices.marked.voice import WORDS, SpokenWord, script
from support.google.client import opening, spoken
from support.properties import few_by_day

SAID = script([WORDS[0:5], WORDS[5:9], WORDS[9:12]], gap_ms=1500)
BATCH_S = 0.15


class Heard(NamedTuple):
    """One response: when it came, its final and its interims put together."""

    now: float
    final: str
    interim: str
    end: float


def play(settings: DoubleSettings) -> list[Heard]:
    """Let one stream hear what is said, in its own time."""
    draw = random.Random(settings.seed)
    listener = StreamRecognizer(settings, latency=lambda: 0.9, now=0.0, draw=draw)
    heard: list[Heard] = []

    def wait(until: float) -> None:
        while (due := listener.deadline) <= until:
            heard.extend(_heard(due, response) for response in listener.tick(due))

    requests = [speech.StreamingRecognizeRequest.pb(request) for request in (opening(), *spoken(SAID.mulaw))]
    for number, request in enumerate(requests):
        wait(number * BATCH_S)
        listener.receive(request, number * BATCH_S)
    wait(len(requests) * BATCH_S)
    return heard


def _heard(now: float, response: Any) -> Heard:
    results = list(response.results)
    ends = [result.result_end_time.ToTimedelta().total_seconds() for result in results]
    assert ends == sorted(ends), "consecutive portions"
    final = results.pop(0).alternatives[0].transcript if results and results[0].is_final else ""
    assert not any(result.is_final for result in results)
    return Heard(now, final, "".join(result.alternatives[0].transcript for result in results).strip(), ends[-1])


def finals(heard: list[Heard]) -> list[str]:
    return [one.final.strip() for one in heard if one.final]


def longest(heard: list[Heard]) -> int:
    """The most responses in a row that say the same."""
    return max(len(list(run)) for text, run in groupby(heard, key=lambda one: one.interim) if text)


def truths() -> set[str]:
    """All that an interim without a fault could say: the first words of an utterance, the last one perhaps in part."""
    found = set()
    for utterance in SAID.utterances:
        words = utterance.text.split()
        for count in range(len(words)):
            before = " ".join(words[:count])
            found |= {f"{before} {words[count][:letters]}".strip() for letters in range(1, len(words[count]) + 1)}
    return found


def test_without_it_interims_are_right_as_far_as_they_go() -> None:
    heard = play(DoubleSettings())

    assert finals(heard) == [utterance.text for utterance in SAID.utterances]
    assert {one.interim for one in heard if one.interim} <= truths()


def test_finals_are_right_whatever_the_interims_say() -> None:
    said, wrong = [utterance.text for utterance in SAID.utterances], set()
    for seed in range(8):
        heard = play(DoubleSettings(untidy=True, seed=seed))
        assert finals(heard) == said
        wrong |= {one.interim for one in heard if one.interim} - truths()
    known = set(WORDS)
    assert any(set(text.split()) <= known for text in wrong), "a word was replaced"
    assert any(a + b in text for text in wrong for a, b in pairwise(SAID.text.split())), "two words were joined"


def test_a_word_is_dropped_and_comes_back() -> None:
    shrunk = 0
    for seed in range(8):
        texts = [one.interim for one in play(DoubleSettings(untidy=True, seed=seed)) if one.interim]
        shrunk += sum(
            before.startswith(f"{after} ") and later.startswith(before)
            for before, after, later in zip(texts, texts[1:], texts[2:], strict=False)
        )
    assert shrunk


def test_the_same_words_are_said_again_up_to_a_later_time_until_the_final_comes() -> None:
    heard = play(DoubleSettings(untidy=True, seed=1))
    again = [(a, b) for a, b in pairwise(heard) if a.interim and a.interim == b.interim]

    assert again
    assert all(a.end <= b.end for a, b in again if not b.final)
    assert any(a.end < b.end for a, b in again if not b.final)
    assert longest(heard) > longest(play(DoubleSettings())) == 2, "a word as it is guessed, and as it is known"


def test_the_seed_decides() -> None:
    assert play(DoubleSettings(untidy=True, seed=3)) == play(DoubleSettings(untidy=True, seed=3))
    assert play(DoubleSettings(untidy=True, seed=3)) != play(DoubleSettings(untidy=True, seed=4))


def test_it_is_a_setting_of_the_command_line() -> None:
    assert settings_from(["untidy=true", "seed=7"]) == DoubleSettings(untidy=True, seed=7)
    with pytest.raises(ConfigurationError, match="untidy"):
        settings_from(["untidy=rather"])


WORD = st.tuples(st.sampled_from(WORDS), st.integers(1, 4000), st.integers(1, 2000))


@few_by_day(50)
@given(st.lists(WORD, min_size=1, max_size=6), st.integers(0, 8000), st.integers(0, 2**32))
def test_only_the_newest_words_are_in_doubt(said: list[tuple[str, int, int]], after: int, seed: int) -> None:
    words, at = [], 0
    for text, length, gap in said:
        words.append(SpokenWord(text, at, at + length))
        at += length + gap
    position = words[-1].end + after
    changed = Untidiness(DoubleSettings(untidy=True), random.Random(seed)).change(words, position)
    stable = [word for word in words if word.end <= position - 600 * 8]

    assert changed
    assert list(changed[: len(stable)]) == stable
    assert list(changed[: len(words) - 2]) == words[:-2]
    assert [word.start for word in changed] == [word.start for word in words[: len(changed)]]
    assert all(word.end <= position for word in changed)


def test_a_few_interims_are_late_and_by_no_more_than_it_says() -> None:
    untidy = Untidiness(DoubleSettings(untidy=True), random.Random(0))
    lateness = [untidy.lateness_s() for _ in range(1000)]
    late = [seconds for seconds in lateness if seconds]

    assert 100 < len(late) < 200
    assert all(LATENESS_S[0] <= seconds <= LATENESS_S[1] for seconds in late)
    assert [untidy.says_again(0, AGAIN_MS * 8 + more) for more in (-1, 0)] == [False, True]
