"""The history has what the caller heard, to a word, wherever the ear is: replies interrupted at random moments."""

from __future__ import annotations

from typing import Final

import pytest

from support.agent.interrupted import INTERRUPTIONS, VoiceWithoutTimes, interrupted
from support.agent.scripted import SlowVoice
from support.properties import examples
from support.time.virtual import in_virtual_time

INTERRUPTIONS_BY_NIGHT: Final = 200
NETWORKS: Final[dict[str, dict[str, float]]] = {
    "here": {},
    "150 ms away": {"delay_s": 0.15, "jitter_s": 0.04},
    "400 ms away": {"delay_s": 0.4, "jitter_s": 0.08},
}


@pytest.mark.day_and_night
@pytest.mark.parametrize("voice", [SlowVoice, VoiceWithoutTimes])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_history_is_what_the_ear_heard_to_a_word(network: str, voice: type[SlowVoice | VoiceWithoutTimes]) -> None:
    conversations = 1 if examples(1) == 1 else INTERRUPTIONS_BY_NIGHT // INTERRUPTIONS
    found = [
        each for seed in range(conversations) for each in in_virtual_time(interrupted(seed, NETWORKS[network], voice()))
    ]

    assert len(found) == conversations * INTERRUPTIONS
    assert [each for each in found if each.off_by > 1] == []
