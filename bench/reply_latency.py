"""From the caller's last sample to the first sound of the reply: the standard profile, and each published model's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from batkol.simulators.llm.profiles import PROFILES
from batkol.simulators.llm.records import RequestRecord
from reply_callers import MachineLoad, Talk, conversations, quantile
from reply_parties import STANDARD, Arrangement, world

P50_S: Final = 0.8
P95_S: Final = 1.2
WASTE: Final = 0.5
PUNCTUAL: Final = ("lead_ms=0,0", "jitter_s=0")
"""Settings of a voice whose first byte is the first of its sound: then its 150 ms are what the limits mean."""


@dataclass(frozen=True, slots=True)
class Timing:
    """One turn, in milliseconds. `total` is by the caller's ear; the parts are the service's."""

    total: float
    detector: float  # total less what the service counts: its end of speech is later than the true one
    text: float
    first_token: float
    first_piece: float
    first_sound: float
    commit: float


PARTS: Final = ("total", "detector", "text", "first_token", "first_piece", "first_sound", "commit")


@dataclass(frozen=True, slots=True)
class Latency:
    """The turns of one profile."""

    timings: Sequence[Timing]
    turns: int
    attempts: int
    attempts_of_turns: Mapping[int, int]  # how many turns had so many attempts

    @property
    def waste(self) -> float:
        """Attempts thrown away for each turn."""
        return (self.attempts - len(self.timings)) / max(1, self.turns)

    def row(self, name: str) -> str:
        cells = [
            f"{quantile([getattr(timing, part) for timing in self.timings], 0.5):.0f} / "
            f"{quantile([getattr(timing, part) for timing in self.timings], 0.95):.0f}"
            for part in PARTS
        ]
        return f"| {name} | {len(self.timings)} of {self.turns} | {' | '.join(cells)} | {self.waste:.2f} |"

    @property
    def attempts_told(self) -> str:
        """A sentence about the attempts of single turns."""
        turns = (f"{count} with {attempts}" for attempts, count in sorted(self.attempts_of_turns.items()))
        return f"turns by their attempts: {', '.join(turns)}"


HEAD: Final = (
    "| LLM | turns | first sound, p50 / p95 ms | detector | text | first token | first piece | voice | commit "
    "| thrown away per turn |\n|---|---|---|---|---|---|---|---|---|---|"
)


async def measured(
    profile: str, calls: int, turns: int, *, at_once: bool = False, voice: tuple[str, ...] = PUNCTUAL
) -> tuple[Latency, str]:
    """Hold conversations with an LLM of that profile; return the latencies and what the machine did beside."""

    async def conduct(talk: Talk) -> None:
        for _ in range(turns):
            await talk.ask()
            await talk.pause(0.5, 1.5)

    async with world(Arrangement(llm=profile, at_once=at_once, voice=voice)) as up:
        load = MachineLoad()
        talks = await conversations(up, calls, conduct)
        requests = await up.requests()
        found = latency_of(talks, requests)
        return found, f"{found.attempts_told}; {load.told(talks)}"


def latency_of(talks: Sequence[Talk], requests: Sequence[RequestRecord]) -> Latency:
    """Put together what was said, heard and asked."""
    timings = [timing for talk in talks for timing in _timings(talk)]
    ended = [talk.reply_to(turn.spoken) for talk in talks for turn in talk.turns]
    attempts = Counter(reply.attempts for reply in ended if reply is not None)
    return Latency(timings, sum(len(talk.turns) for talk in talks), len(requests), attempts)


def _timings(talk: Talk) -> list[Timing]:
    found = []
    for turn in talk.turns:
        heard, reply = talk.first_sound_after(turn.spoken.ended_at), talk.reply_to(turn.spoken)
        if heard is None or reply is None or reply.latency_ms is None:
            continue
        total = 1000 * (heard - turn.spoken.ended_at)
        parts = (reply.text_ms, reply.first_token_ms, reply.first_piece_ms, reply.first_sound_ms, reply.commit_ms)
        found.append(Timing(total, total - reply.latency_ms, *(part or 0.0 for part in parts)))
    return found


async def standard(calls: int, turns: int) -> bool:
    """Print the standard profile and its limits; return whether they are kept.

    The limits come from a prototype whose first piece came with the first token, so they count for that row.
    """
    whole, load = await measured(STANDARD, calls, turns, at_once=True)
    print(f"{HEAD}\n{whole.row(f'{STANDARD}, all of its answer at once')}\n({load})", flush=True)
    found, load = await measured(STANDARD, calls, turns)
    print(f"{found.row(f'{STANDARD}, then 80 tokens a second')}\n({load})")
    late, load = await measured(STANDARD, calls, turns, voice=())
    print(f"{late.row(f'{STANDARD}, and a voice that begins with silence, and is late by up to 30 ms')}\n({load})")
    p50, p95 = (quantile([timing.total for timing in whole.timings], share) / 1000 for share in (0.5, 0.95))
    print(f"limits: p50 {p50:.3f} s of {P50_S}, p95 {p95:.2f} s of {P95_S}, thrown away {whole.waste:.2f} of {WASTE}")
    answered = all(len(each.timings) == each.turns for each in (whole, found, late))
    return p50 <= P50_S and p95 <= P95_S and whole.waste <= WASTE and answered


async def published(calls: int, turns: int) -> bool:
    """Print a table of the published models."""
    print(HEAD)
    for name in PROFILES:
        found, load = await measured(name, calls, turns)
        print(f"{found.row(name)}", flush=True)
        print(f"({load})", flush=True)
    return True
