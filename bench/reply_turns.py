"""A thousand turns with a recognizer that changes its mind: one reply each, in time, and what was thrown away."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from batkol.simulators.voice.recognizer import GARBLE
from batkol.speech.sameness import spoken
from reply_callers import MachineLoad, Talk, conversations, quantile
from reply_parties import Arrangement, world

DEAD_AIR_S: Final = 3.5
_UNBOUNDED: Final = {"SPECULATIVE_ATTEMPTS_PER_MINUTE": "100000"}


@dataclass(slots=True)
class Count:
    """Turns by what came of them."""

    turns: int = 0
    unanswered: int = 0
    twice: int = 0
    heard_twice: int = 0  # the ear heard a word of the reply twice
    holed: int = 0  # the ear did not hear every word of it whole: its sound came too late, once
    dead_air: int = 0

    def add(self, talk: Talk) -> list[float]:
        """Count the turns of one call; return the seconds to each reply's first sound."""
        waits = []
        words, replies = talk.report.ear.words(), talk.ended()
        ends = [turn.spoken.begun_at for turn in talk.turns[1:]] + [float("inf")]
        for turn, end in zip(talk.turns, ends, strict=True):
            began = turn.spoken.ended_at
            self.turns += 1
            self.unanswered += not turn.answered
            self.twice += sum(began < at < end for at, _ in talk.answers()) > 1
            heard = Counter(word.text for word in words if began < word.begins_at < end and word.text != GARBLE)
            intended = {word for at, event in replies if began < at < end for word in spoken(event.intended).split()}
            self.heard_twice += any(heard[word] > 1 for word in intended)
            self.holed += any(not heard[word] for word in intended)
            sound = talk.first_sound_after(began)
            if sound is None or sound - began > DEAD_AIR_S:
                self.dead_air += 1
            else:
                waits.append(sound - began)
        return waits


async def untidy(calls: int, turns: int) -> bool:
    """Print the count of such turns; return whether each had exactly one reply, in time."""

    async def conduct(talk: Talk) -> None:
        for _ in range(turns):
            await talk.ask()
            await talk.pause(0.3, 1.2)

    arrangement = Arrangement(google=("untidy=true",), settings=_UNBOUNDED)
    async with world(arrangement) as up:
        load = MachineLoad()
        talks = await conversations(up, calls, conduct)
        requests = await up.requests()
    count, waits = Count(), []
    for talk in talks:
        waits += count.add(talk)
    replies = sum(len(talk.answers()) for talk in talks)
    waste = (len(requests) - replies) / count.turns
    print(
        "| turns | two replies | a word twice at the ear | no reply | over 3.5 s without sound | a word with a hole "
        "| first sound, p50 / p95 ms | thrown away per turn |\n|---|---|---|---|---|---|---|---|"
    )
    times = f"{1000 * quantile(waits, 0.5):.0f} / {1000 * quantile(waits, 0.95):.0f}"
    counts = (count.turns, count.twice, count.heard_twice, count.unanswered, count.dead_air, count.holed)
    print(f"| {' | '.join(map(str, counts))} | {times} | {waste:.2f} |\n({load.told(talks)})")
    return not (count.twice or count.heard_twice or count.unanswered or count.dead_air)
