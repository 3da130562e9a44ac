"""From what the callers sent, the recognizer answered and the service published, to figures."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import msgspec

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.speech.debounce import Debouncer
from double import StreamLog
from load import FRAME, PlacedCall, Result

DEBOUNCE_S: Final = 0.180
_BATCH: Final = 150 * SAMPLES_PER_MS
_NO_WORD: Final = re.compile(r"[^\w\s]")


class Spread(msgspec.Struct):
    """The spread of many measurements, in ms."""

    count: int
    p50: float
    p95: float
    p99: float
    worst: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Spread | None:
        ordered = sorted(1000 * value for value in seconds)
        if not ordered:
            return None
        last = len(ordered) - 1
        p50, p95, p99 = (ordered[round(last * share)] for share in (0.5, 0.95, 0.99))
        return cls(len(ordered), p50, p95, p99, ordered[-1])


class Words(msgspec.Struct):
    """Lost and extra words: of the first finals, and of the record after late finals corrected it."""

    spoken: int = 0
    lost: int = 0
    extra: int = 0
    lost_at_first: int = 0


class Tentatives(msgspec.Struct):
    """The early text: of all utterances that had a final, those with a tentative, and what was in vain."""

    utterances: int = 0
    with_one: int = 0
    attempts: int = 0
    withdrawn: int = 0
    confirmed: int = 0
    took: Spread | None = None  # caller's last sample sent -> the tentative that the final confirmed was read

    @property
    def attempts_each(self) -> float:
        """Tentatives an utterance."""
        return self.attempts / self.utterances if self.utterances else 0.0

    @property
    def withdrawn_share(self) -> float:
        """Share of the tentatives that were withdrawn."""
        return self.withdrawn / self.attempts if self.attempts else 0.0


class Heard(msgspec.Struct):
    """The findings of one run."""

    words: Words
    partials: int = 0
    partials_expected: int = 0
    audio: Spread | None = None  # last byte of a batch sent by the caller -> it is at the recognizer
    response_made: Spread | None = None  # recognizer's response sent -> event made, beyond debounce
    response_read: Spread | None = None  # … -> event read by a subscriber
    cadence: Spread | None = None
    first_partial: Spread | None = None
    final: Spread | None = None
    tentatives: Tentatives = msgspec.field(default_factory=Tentatives)
    revised: int = 0
    finals: dict[str, int] = {}


def plain(text: str) -> list[str]:
    """Return the words without punctuation."""
    return _NO_WORD.sub("", text).split()


def compare(spoken: Sequence[str], heard: Sequence[str]) -> tuple[int, int]:
    """Return how many words are missing from what was heard, and how many are in it that should not."""
    if spoken == heard:
        return 0, 0
    row = [0] * (len(heard) + 1)  # longest common subsequence
    for word in spoken:
        before = 0
        for at, other in enumerate(heard, 1):
            above = row[at]
            row[at] = before + 1 if word == other else max(above, row[at - 1])
            before = above
    return len(spoken) - row[-1], len(heard) - row[-1]


def of_peer(result: Result, report: Mapping[str, Any], logs: Sequence[StreamLog]) -> Heard:
    """Judge a server that reports its finals when all is over."""
    words = Words()
    for call in result.calls:
        told = report.get(call.call_sid, {})
        _count(words, call, plain(" ".join(told.get("finals", ()))), None)
    partials = sum(told["partials"] for told in report.values())
    expected = sum(log.interim_results for log in logs)
    return Heard(words, partials, expected, audio=_audio(result, logs, any_batch=True))


def of_batkol(result: Result, logs: Sequence[StreamLog]) -> Heard:
    """Judge the service by its event stream."""
    calls: dict[str, list[tuple[float, dict[str, Any]]]] = defaultdict(list)
    for read_at, raw in result.events:
        event = msgspec.json.decode(raw)
        event["made"] = event["at"] - result.wall_minus_monotonic
        calls[event["call_sid"]].append((read_at, event))
    heard = Heard(Words(), partials_expected=sum(_expected(log) for log in logs))
    streams = defaultdict(list)
    for log in logs:
        if log.words:
            streams[log.words[0].call].append(log)
    spans: dict[str, list[float]] = defaultdict(list)
    for call in result.calls:
        _follow(call, calls[call.call_sid], heard, spans)
        _early(call, calls[call.call_sid], heard.tentatives, spans["tentative"])
        _responses(calls[call.call_sid], streams[call.number], spans)
    heard.audio = _audio(result, logs)
    heard.response_made, heard.response_read = Spread.of(spans["made"]), Spread.of(spans["read"])
    heard.cadence = Spread.of(spans["cadence"])
    heard.first_partial, heard.final = Spread.of(spans["first"]), Spread.of(spans["final"])
    heard.tentatives.took = Spread.of(spans["tentative"])
    return heard


def _count(words: Words, call: PlacedCall, record: Sequence[str], first: Sequence[str] | None) -> None:
    spoken = [word for word, _, _ in call.words]
    lost, extra = compare(spoken, record)
    words.spoken += len(spoken)
    words.lost += lost
    words.extra += extra
    words.lost_at_first += lost if first is None else compare(spoken, first)[0]


def _follow(
    call: PlacedCall, events: Sequence[tuple[float, dict[str, Any]]], heard: Heard, spans: dict[str, list[float]]
) -> None:
    """Go through a call's events: words, partials, and how long the caller waited."""
    first: dict[int, list[str]] = {}
    record: dict[int, list[str]] = {}
    partials: dict[int, list[float]] = defaultdict(list)
    for read_at, event in events:
        match event["type"]:
            case "partial":
                heard.partials += 1
                partials[event["index"]].append(read_at)
            case "final":
                first[event["index"]] = record[event["index"]] = plain(event["text"])
                heard.finals[event["source"]] = heard.finals.get(event["source"], 0) + 1
                _waited(call, event, read_at, partials[event["index"]], spans)
            case "revised":
                heard.revised += 1
                record[event["index"]] = plain(event["text"])
    for times in partials.values():
        spans["cadence"] += [later - earlier for earlier, later in pairwise(times)]
    _count(heard.words, call, _joined(record), _joined(first))


def _early(
    call: PlacedCall, events: Sequence[tuple[float, dict[str, Any]]], found: Tentatives, took: list[float]
) -> None:
    """Count the tentatives, and take the time of those that the finals confirm: what an agent could have begun with."""
    stood: dict[tuple[int, int], float] = {}
    for read_at, event in events:
        match event["type"]:
            case "tentative":
                found.attempts += 1
                stood[event["index"], event["number"]] = read_at
            case "withdrawn":
                found.withdrawn += 1
            case "final":
                found.utterances += 1
                found.with_one += (event["index"], 1) in stood
                if event["confirms"] is not None and (said := utterance_of(call, event)) is not None:
                    found.confirmed += 1
                    took.append(stood[event["index"], event["confirms"]] - sent_at(call, said[1]))


def utterance_of(call: PlacedCall, event: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the samples of the caller's utterance that a final is of."""
    begin, end = (event[name] * SAMPLES_PER_MS for name in ("begin_ms", "end_ms"))
    return next(((start, until) for start, until, _ in call.utterances if begin < until and end > start), None)


def sent_at(call: PlacedCall, until: int) -> float:
    """Return when the last sample before `until` was sent."""
    return call.sent[min((until - 1) // FRAME, len(call.sent) - 1)]


def _joined(texts: Mapping[int, list[str]]) -> list[str]:
    return [word for index in sorted(texts) for word in texts[index]]


def _waited(
    call: PlacedCall, event: Mapping[str, Any], read_at: float, partials: Sequence[float], spans: dict[str, list[float]]
) -> None:
    spoken = utterance_of(call, event)
    if spoken is None:
        return
    start, until = spoken
    if partials:
        spans["first"].append(partials[0] - call.sent[start // FRAME])
    spans["final"].append(read_at - sent_at(call, until))


def _responses(
    events: Sequence[tuple[float, dict[str, Any]]], logs: Sequence[StreamLog], spans: dict[str, list[float]]
) -> None:
    """Find the response behind each event, and how long it took beyond the debounce."""
    sent = sorted((sent.at, sent.final, sent.text) for log in logs for sent in log.sent)
    at_of = [one[0] for one in sent]
    last: dict[int, float] = {}
    for read_at, event in events:
        kind = event["type"]
        is_final = kind == "revised" or (kind == "final" and event["source"] == "final")
        if kind != "partial" and not is_final:
            continue
        made = event["made"]
        behind = _behind(sent, bisect_right(at_of, made + 0.005), is_final, plain(event["text"]))
        if behind is None:
            continue
        free = behind if is_final else max(behind, last.get(event["index"], 0.0) + DEBOUNCE_S)
        spans["made"].append(made - free)
        spans["read"].append(read_at - free)
        if kind == "partial":
            last[event["index"]] = made


def _behind(sent: Sequence[tuple[float, bool, str]], before: int, is_final: bool, text: list[str]) -> float | None:
    for at, final, said in reversed(sent[max(0, before - 12) : before]):
        if final == is_final and said.split() == text:
            return at
    return None


def _audio(result: Result, logs: Sequence[StreamLog], *, any_batch: bool = False) -> Spread | None:
    """Whole batches only: what is flushed at the end of speech waits for the VAD, not for the way."""
    opened, closed = result.window
    told = {call.number: call for call in result.calls}
    took = []
    for log in logs:
        if not log.words or log.words[0].call not in told:
            continue
        word, call = log.words[0], told[log.words[0].call]
        base = call.words[word.ordinal][1] - word.start
        before = 0
        for at, samples in log.arrivals:
            whole, before = (any_batch or (samples - before) % _BATCH == 0), samples
            frame = (base + samples - 1) // FRAME
            if whole and opened <= at <= closed and 0 <= frame < len(call.sent):
                took.append(at - call.sent[frame])
    return Spread.of(took)


def _expected(log: StreamLog) -> int:
    """Count the partials that a debounce without any delay would have let through."""
    count, debounce = 0, Debouncer(window=DEBOUNCE_S)
    for sent in log.sent:
        if (due := debounce.deadline) is not None and due <= sent.at:
            count += debounce.tick(due) is not None
        if sent.final:
            debounce = Debouncer(window=DEBOUNCE_S)
        else:
            count += debounce.offer(sent.text, sent.at) is not None
    return count
