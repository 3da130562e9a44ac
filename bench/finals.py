"""From the end of speech to Soniox's final, split by what it waits for, at several silences of the detector.

Vendors' published times of finals count from the detector's end of speech, so the limit does. A detector hears speech a
little longer than there is some: the last column counts from the caller's last sample.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from cases import HERE, Case
from findings import Spread, compare, plain, sent_at, utterance_of
from hearing_parties import GOOGLE, SONIOX, ByEar, Hearing
from load import PlacedCall, Plan, Result
from parties import Load

LIMIT_MS: Final = 330.0
"""Limit of the 95th percentile: of the recognizer's final, and of what is published with the silence of its times."""

PUBLISHED_AT_MS: Final = 200
SILENCES_MS: Final = (200, 300, 480)
LEAST: Final = 200
"""Finals without which a percentile says little."""

PARTS: Final = ("quiet", "asked", "answered", "ended", "tentative", "published", "after the last sample")
_COLUMNS: Final = (
    "silence, ms",
    "sessions",
    "finals",
    "the recognizer's own",
    "quiet noticed, p50 / p95 ms",
    "asked for",
    "recognizer's final",
    "utterance ended",
    "tentative",
    "published",
    "published, from the last sample",
    "words lost / extra",
)

_BATCH_S: Final = 0.149

_SPLIT: Final = 300 * SAMPLES_PER_MS
"""Further than this before the caller's last sample the detector ended the utterance in the midst of the sentence."""


class Asked(msgspec.Struct):
    """One call as the recognizer wrote it down: times of its messages, in order."""

    flushed: list[float] = []
    """Times of messages shorter than a batch: all that is heard is sent when a pause is noticed."""
    asked: list[float] = []
    answered: list[float] = []

    def add(self, session: Mapping[str, Any]) -> None:
        """Take what was written down of another session of the call."""
        times = pairwise([(0.0, 0.0), *session["audio_times"]])
        self.flushed += [at for (_, before), (at, until) in times if until - before < _BATCH_S]
        self.asked += session["finalizes_at"]
        self.answered += session["fins_at"]
        for each in (self.flushed, self.asked, self.answered):
            each.sort()

    def after(self, quiet_at: float) -> Iterator[tuple[str, float]]:
        """Yield what came first after a moment; what comes a second later belongs to another one."""
        for part, times in (("quiet", self.flushed), ("asked", self.asked), ("answered", self.answered)):
            first = bisect_right(times, quiet_at)
            if first < len(times) and times[first] < quiet_at + 1.0:
                yield part, times[first]
                quiet_at = times[first] if part == "asked" else quiet_at


class Finals(msgspec.Struct):
    """The findings at one silence. Times are seconds from the detector's end of speech."""

    silence_ms: int
    sessions: int = 0
    endings: Counter[str] = msgspec.field(default_factory=Counter)
    finals: int = 0
    own: int = 0  # of them the recognizer's, and no promoted interim or other request
    spoken: int = 0
    lost: int = 0
    extra: int = 0
    spans: dict[str, list[float]] = msgspec.field(default_factory=lambda: defaultdict(list))

    def spread(self, part: str) -> Spread:
        return Spread.of(self.spans[part]) or Spread(0, *[float("nan")] * 4)

    @property
    def row(self) -> str:
        spreads = (self.spread(part) for part in PARTS)
        times = " | ".join(f"{spread.p50:.0f} / {spread.p95:.0f}" for spread in spreads)
        cells = [self.silence_ms, self.sessions, self.finals, self.own, times, f"{self.lost} / {self.extra}"]
        return f"| {' | '.join(map(str, cells))} |"

    @property
    def wrong(self) -> str:
        """The first thing that is not as it must be; empty if all is."""
        if self.finals < LEAST:
            return f"{self.finals} finals are too few: {LEAST} at least"
        if self.lost or self.extra:
            return f"of {self.spoken} words {self.lost} are lost, and {self.extra} were not said"
        late = [part for part in self._limited if not self.spread(part).p95 <= LIMIT_MS]
        return f"{' and '.join(late)}: too late, {LIMIT_MS:.0f} ms at most" if late else ""

    @property
    def _limited(self) -> tuple[str, ...]:
        """A text is final as soon with any silence; it is published when the utterance is over."""
        return ("answered", "published") if self.silence_ms == PUBLISHED_AT_MS else ("answered",)


async def run(silences_ms: Sequence[int], *, calls: int, seconds: float) -> int:
    """Measure at one silence after the other; print a row of each, and the verdict. Returns the exit status."""
    print(f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|", flush=True)
    found = []
    for silence_ms in silences_ms:
        found.append(await measured(silence_ms, calls=calls, seconds=seconds))
        print(found[-1].row, flush=True)
        if found[-1].sessions > calls:
            print(f"(sessions ended: {dict(found[-1].endings)})", flush=True)
    wrong = [f"{each.silence_ms} ms of silence: {each.wrong}" for each in found if each.wrong]
    print("\n".join(wrong) or f"all is within its limits (p95 at {PUBLISHED_AT_MS} ms: {LIMIT_MS:.0f} ms)")
    return int(bool(wrong))


async def measured(silence_ms: int, *, calls: int, seconds: float) -> Finals:
    """Have a service hear calls with that silence."""
    with tempfile.TemporaryDirectory(prefix="batkol-bench-") as name:
        folder = Path(name)
        (folder / "single").mkdir()
        case = Case("batkol", "batkol", calls, (sys.executable, "-m", "batkol", "serve"))
        async with ByEar(GOOGLE, folder / "single") as google, ByEar(SONIOX, folder) as double:
            live = {"LIVE_SOURCE": f"file:{_live(folder, silence_ms)}"}
            settings = {**google.settings, **double.settings, **live}
            async with Hearing(case, folder, SONIOX, settings) as server:
                events = ("127.0.0.1", server.internal_port)
                plan = Plan(
                    base_url=server.url, calls=calls, seconds=seconds, out=str(folder / "load.json"), events=events
                )
                async with Load(plan) as load:
                    for word in ("open", "close", "done"):
                        await load.says(word)
                sessions = (await double.stats())["sessions"]
                return judged(silence_ms, load.result(), sessions)


def _live(folder: Path, silence_ms: int) -> Path:
    """Return a folder with the sample's live configuration, and that silence."""
    live = shutil.copytree(HERE.parent / "config" / "live", folder / "tuned")
    tuning = live / "tuning.json"
    document = json.loads(tuning.read_text())
    document["endpointing"]["silenceMilliseconds"] = silence_ms
    tuning.write_text(json.dumps(document))
    return Path(live)


def judged(silence_ms: int, result: Result, sessions: Sequence[Mapping[str, Any]]) -> Finals:
    """Put together what was said, asked, answered and published."""
    found = Finals(silence_ms)
    events: dict[str, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
    for read_at, raw in result.events:
        event = msgspec.json.decode(raw)
        events[event["call_sid"]].append((read_at, event))
    asked: dict[str, Asked] = defaultdict(Asked)
    for session in sessions:
        if session["words"]:  # it is none of the service's own checks
            found.endings[session["ending"]] += 1
            asked[_caller(session, result.calls).call_sid].add(session)
            found.sessions += 1
    for call in result.calls:
        _judge(call, events[call.call_sid], asked[call.call_sid], found)
    return found


def _caller(session: Mapping[str, Any], calls: Sequence[PlacedCall]) -> PlacedCall:
    """Return the call whose words the session heard when they were said."""

    def heard(call: PlacedCall) -> int:
        said = [(text, sent_at(call, end)) for text, _, end in call.words]
        return sum(
            any(text == word["text"] and 0 <= word["at"] - at < 1 for text, at in said) for word in session["words"]
        )

    return max(calls, key=heard)


def _judge(call: PlacedCall, events: Sequence[tuple[float, dict[str, Any]]], asked: Asked, found: Finals) -> None:
    ended: dict[int, float] = {}
    tentatives: dict[tuple[int, int], float] = {}
    record: dict[int, str] = {}
    for read_at, event in events:
        match event["type"]:
            case "utterance.ended":
                ended[event["index"]] = read_at
            case "tentative":
                tentatives[event["index"], event["number"]] = read_at
            case "final":
                record[event["index"]] = event["text"]
                times = {
                    "ended": ended.get(event["index"]),
                    "tentative": tentatives.get((event["index"], event["confirms"] or 0)),
                    "published": read_at,
                }
                _measure(call, event, times, asked, found)
            case "revised":
                record[event["index"]] = event["text"]
    said = [word for word, _, _ in call.words]
    lost, extra = compare(said, [word for index in sorted(record) for word in plain(record[index])])
    found.spoken, found.lost, found.extra = found.spoken + len(said), found.lost + lost, found.extra + extra


def _measure(
    call: PlacedCall,
    event: Mapping[str, Any],
    times: dict[str, float | None],
    asked: Asked,
    found: Finals,
) -> None:
    """Add one final's times."""
    if not event["text"]:
        return
    found.finals += 1
    found.own += event["source"] == "final"
    end = event["end_ms"] * SAMPLES_PER_MS
    quiet_at = sent_at(call, end)
    times |= dict(asked.after(quiet_at))
    for part, at in times.items():
        if at is not None:
            found.spans[part].append(at - quiet_at)
    utterance, published = utterance_of(call, event), times["published"]
    if utterance is not None and published is not None and end > utterance[1] - _SPLIT:
        found.spans["after the last sample"].append(published - sent_at(call, utterance[1]))
