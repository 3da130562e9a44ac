"""A thousand turns with a recognizer that changes its mind: one reply each, in time, and what was thrown away."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from batkol.events.events import FinalText, PartialText
from batkol.simulators.voice.recognizer import GARBLE
from batkol.speech.sameness import spoken
from reply_callers import MachineLoad, Talk, Turn, conversations, quantile
from reply_parties import Arrangement, world

DEAD_AIR_S: Final = 3.5
_EXAMPLES: Final = 8
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
    split: int = 0  # the detector made two utterances of the sentence: a reply to each, the first interrupted
    early: int = 0  # the agent spoke before the caller's last sample, in a pause
    examples: list[str] = field(default_factory=list)

    def add(self, talk: Talk) -> list[float]:
        """Count the turns of one call; return the seconds to each reply's first sound."""
        waits = []
        words, replies = talk.report.ear.words(), talk.ended()
        finals_of_call = talk.world.observed.of(talk.sid, FinalText)
        ends = [turn.spoken.begun_at for turn in talk.turns[1:]] + [float("inf")]
        for turn, end in zip(talk.turns, ends, strict=True):
            began = turn.spoken.ended_at
            self.turns += 1
            before = self.wrong
            self.unanswered += not turn.answered
            self.early += any(turn.spoken.begun_at < at <= began for at, _ in talk.answers())
            answers = sum(began < at < end for at, _ in talk.answers())
            finals = sum(turn.spoken.begun_at < at < end and bool(event.text) for at, event in finals_of_call)
            self.twice += answers > max(1, finals)
            self.split += 1 < answers <= finals
            heard = Counter(word.text for word in words if began < word.begins_at < end and word.text != GARBLE)
            intended = {word for at, event in replies if began < at < end for word in spoken(event.intended).split()}
            self.heard_twice += any(heard[word] > 1 for word in intended)
            self.holed += any(not heard[word] for word in intended)
            sound = talk.first_sound_after(began)
            if sound is None or sound - began > DEAD_AIR_S:
                self.dead_air += 1
            else:
                waits.append(sound - began)
            if self.wrong > before and len(self.examples) < _EXAMPLES:
                self.examples.append(_told(talk, turn, end))
        return waits

    @property
    def wrong(self) -> int:
        """Turns that are not as they should be, each as often as it is wrong."""
        return self.twice + self.heard_twice + self.unanswered + self.dead_air


def _told(talk: Talk, turn: Turn, end: float) -> str:
    """Return what happened in a turn, in ms since the caller's last sample."""
    began = turn.spoken.ended_at
    sounds = [
        f"sound at {1000 * (s.begins_at - began):.0f} of {len(s.mulaw) / 8:.0f} ms"
        for s in talk.report.ear.sounds
        if began < s.begins_at < end
    ]
    events = [
        f"{type(event).__name__}@{1000 * (at - began):.0f} {getattr(event, 'text', '')}{getattr(event, 'heard', '')}"
        for at, event in talk.world.observed.events[talk.sid]
        if turn.spoken.begun_at < at < end and not isinstance(event, PartialText)
    ]
    return f"{turn.text}: {', '.join(events)}; {', '.join(sounds)}"


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
        "| turns | two replies | a word twice at the ear | no reply | over 3.5 s without sound | split "
        f"| begun in a pause | a word with a hole | first sound, p50 / p95 ms | thrown away per turn |\n{'|---' * 10}|"
    )
    times = f"{1000 * quantile(waits, 0.5):.0f} / {1000 * quantile(waits, 0.95):.0f}"
    counts = [count.turns, count.twice, count.heard_twice, count.unanswered, count.dead_air]
    counts += [count.split, count.early, count.holed]
    print(f"| {' | '.join(map(str, counts))} | {times} | {waste:.2f} |\n({load.told(talks)})")
    for example in count.examples:
        print(f"({example})")
    return not count.wrong
