"""Cost of the event ring on the media path: microseconds of CPU per event, and memory when it is full.

  bench/ring_cost.py                     the events of 40 calls: 10 partials, a tentative and a final for each utterance

The ring numbers, encodes and keeps each event; what a newer one replaced, and what is too much, goes in the same
step. `bus` is the whole publishing without a subscriber, `before` the same without a ring. `view` is what the first
reader without the right to texts costs for each event, `again` what every further one does. Medians of the rounds.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from batkol.events.bus import Bus
from batkol.events.events import Event, FinalText, PartialText, TentativeText, UtteranceStarted, encode
from batkol.events.redaction import view
from batkol.events.ring import LIMITS, EventRing, KeptEvent
from batkol.rights import Right

CALLS: Final = 40
EVENTS: Final = 40_000
TEXT: Final = "אני רוצה לקבוע תור לרופא ביום ראשון בבוקר"
BLIND: Final = view(frozenset({Right.STATUS}))
SECONDS_PER_EVENT: Final = 1 / (CALLS * 3)


def events() -> Iterator[Event]:
    """Yield the events of calls at the same time, without end."""
    seqs = [0] * CALLS
    for index in itertools.count():
        for step in range(13):
            for call in range(CALLS):
                seqs[call] += 1
                yield _event(call, seqs[call], index, step)


def _event(call: int, seq: int, index: int, step: int) -> Event:
    sid = f"CA{call:032x}"
    of: dict[str, Any] = {"call_sid": sid, "stream_sid": f"MZ{call:032x}", "seq": seq, "at": 1.9e9 + seq / 7}
    said = {**of, "utterance_id": f"{sid}-{index}", "index": index}
    match step:
        case 0:
            return UtteranceStarted(
                **said, begin_ms=1, speech_ms=2, mode="streaming", flag_variant="on", flag_reason="STATIC"
            )
        case 11:
            return TentativeText(**said, number=1, text=TEXT, end_ms=5_000)
        case 12:
            return FinalText(
                **said,
                text=TEXT,
                source="final",
                mode="streaming",
                begin_ms=1,
                end_ms=2,
                words=8,
                partials=10,
                first_partial_ms=310.5,
                latency_ms=702.1,
                confirms=1,
            )
        case _:
            return PartialText(**said, text=TEXT[: 4 * step], stability=0.9, number=step)


def cost(work: Callable[[Event], object], made: list[Event]) -> float:
    """Return microseconds of CPU per event."""
    begun = time.process_time()
    for event in made:
        work(event)
    return 1e6 * (time.process_time() - begun) / len(made)


def paced() -> Callable[[], float]:
    """Return a clock by which the calls publish three events a second each."""
    ticks = itertools.count()
    return lambda: next(ticks) * SECONDS_PER_EVENT


def reading(kept: Iterable[KeptEvent]) -> float:
    """Return microseconds of CPU per event for a reader without the right to texts."""
    made = list(kept)
    begun = time.process_time()
    for each in made:
        each.seen_with(BLIND)
    return 1e6 * (time.process_time() - begun) / len(made)


class _NoRing(EventRing):
    def append(self, event: Event, agent: str = "", *, is_rehearsal: bool = False) -> KeptEvent:  # noqa: ARG002  none kept
        return _NOTHING


_NOTHING: Final = KeptEvent(0, next(events()), "", 0.0)


def costs() -> dict[str, float]:
    made = list(itertools.islice(events(), EVENTS))
    kept = [KeptEvent(number, event, "", 0.0) for number, event in enumerate(made)]
    return {
        "append": cost(EventRing(clock=paced()).append, made),
        "of it, encode": cost(encode, made),
        "bus": cost(Bus(EventRing(clock=paced())).publish, made),
        "before": cost(Bus(_NoRing()).publish, made),
        "view": reading(kept),
        "again": reading(kept),
    }


def memory() -> tuple[EventRing, float]:
    """Return a full ring, and the bytes that it takes for each event: with the events, as a call makes them."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    ring, source = EventRing(clock=lambda: 0.0), events()  # no time passes: nothing goes until it is full
    while not ring.lost:
        ring.append(next(source))
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return ring, (after - before) / len(ring)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = [costs() for _ in range(parser.parse_args().rounds)]
    for name in rounds[0]:
        each = [found[name] for found in rounds]
        print(f"{name}: {statistics.median(each):.2f} µs per event ({', '.join(f'{one:.2f}' for one in each)})")
    ring, size = memory()
    print(
        f"a full ring: {len(ring)} of {LIMITS.events} events, {ring.bytes_kept / 2**20:.1f} of "
        f"{LIMITS.bytes_ >> 20} MiB of JSON, {size:.0f} bytes an event, {size * len(ring) / 2**20:.1f} MiB in all"
    )


if __name__ == "__main__":
    main()
