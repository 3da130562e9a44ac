"""The judgement on the demo's call: its numbers in one line, and a sentence for each thing that went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.demo.script import DemoScript
from batkol.demo.talk import TurnSeen
from batkol.events.events import ReplyEnded
from batkol.quantity import quantity
from batkol.simulators.client.call_record import CallRecordRow, Said
from batkol.simulators.client.conversation import Observed

_UNSURE_WORDS: Final = 1
"""Words by which the service may be wrong about what the caller heard: a mark comes back with the next 20 ms."""


def totals_of_replies(seen: Sequence[TurnSeen], observed: Observed) -> str:
    """The line about the replies."""
    ended = [one.reply.ended for one in seen if one.reply is not None and one.reply.ended is not None]
    latencies = [reply.latency_ms for reply in ended if reply.latency_ms is not None]
    parts = [f"{len(latencies)} answers"]
    if latencies:
        parts.append(
            f"first sound {median(latencies):.0f} ms after the caller's last (p50), {max(latencies):.0f} at most"
        )
    silenced = [ms for one in seen if (ms := _silenced_after_ms(one, observed)) is not None]
    shown = f", silent {', '.join(f'{ms:.0f}' for ms in silenced)} ms after the caller began" if silenced else ""
    parts.append(f"{len(silenced)} interrupted{shown}")
    hums = [ms for one in seen if one.hum is not None and (ms := _detected_ms(one.hum, observed)) is not None]
    lasted = f" that the detector heard for {', '.join(f'{ms:.0f}' for ms in hums)} ms" if hums else ""
    parts.append(f"{len(hums)} mm-hm{lasted}, {quantity(sum(map(_false, seen)), 'false interruption')}")
    right, total = sum(_agreed(one) for one in seen), sum(_heard(one) for one in seen)
    parts.append(f"{right}/{total} heard words as the service reports them")
    return " · ".join(parts)


def faults(seen: Sequence[TurnSeen], observed: Observed, script: DemoScript) -> Iterator[str]:
    """Yield a sentence for each thing that went wrong with the words, the flag, the replies or the protocol."""
    rows = observed.rows
    spoken = [row for row in rows if row.said.words]
    if len(spoken) != len(script) or not all(row.perfect for row in rows):
        yield "the service missed or misheard a word"
    if [_modes(row) for row in spoken] != [{turn.mode} for turn in script]:
        yield "a call did not follow the flag"
    replied = [one for one in seen if one.reply is not None and one.reply.ended is not None]
    if len(replied) != len(script) + 1:
        yield f"the agent replied {quantity(len(replied), 'time')} in the place of {len(script) + 1}"
    for failure in observed.watch.replies.failures:
        yield f"the {failure.part} failed ({failure.reason})"
    for number, one in enumerate(seen):
        yield from (f"reply {number + 1}: {fault}" for fault in _faults_of_one(one, observed))
    for violation in observed.report.violations:
        yield f"Twilio would report a warning: {violation.code}, {violation.text}"


def _faults_of_one(one: TurnSeen, observed: Observed) -> Iterator[str]:
    reply, turn = one.reply, one.turn
    if reply is None or reply.ended is None:
        yield "it is missing"
        return
    wanted = "greeting" if turn is None else None
    if reply.phrase != wanted:
        yield f"the caller heard the phrase {reply.phrase}" if reply.phrase else "the caller heard no greeting"
    elif turn is not None and not _intended(reply.ended, turn.answer):
        yield "it is not what the model answered"
    if one.heard is None or abs(one.heard.words - len(reply.ended.heard.split())) > _UNSURE_WORDS:
        yield "the caller did not hear what the service reports"
    if one.hum is not None:
        yield from _faults_of_hum(one, one.hum, observed)
    if _false(one):
        yield "the agent was interrupted by what is no interruption"
    if turn is not None and turn.interrupted_at is not None and _silenced_after_ms(one, observed) is None:
        yield "the caller's words did not interrupt it"


def _faults_of_hum(one: TurnSeen, hum: Said, observed: Observed) -> Iterator[str]:
    if _detected_ms(hum, observed) is None:
        yield "the detector did not hear the mm-hm, which so proves nothing"
    elif one.heard is not None and one.heard.ends_at < observed.report.sent_at(hum.end_ms * SAMPLES_PER_MS):
        yield "the mm-hm came when it was over, and so proves nothing"


def _intended(reply: ReplyEnded, answer: str) -> bool:
    """Whether it is the answer; of an interrupted one the beginning."""
    return answer.startswith(reply.intended) if reply.interrupted else reply.intended == answer


def _false(one: TurnSeen) -> int:
    """Return how often it was interrupted where nothing was to interrupt it."""
    if one.reply is None:
        return 0
    planned = one.turn is not None and one.turn.interrupted_at is not None and one.reply.interrupted
    return len(one.reply.interruptions) - (1 if planned else 0)


def _silenced_after_ms(one: TurnSeen, observed: Observed) -> float | None:
    """Return the time from the caller's first sample to the last one of the reply that the ear heard."""
    if one.interruption is None or one.heard is None or not one.heard.cut:
        return None
    began = observed.report.sent_at(one.interruption.begin_ms * SAMPLES_PER_MS)
    return (one.heard.ends_at - began) * 1000


def _detected_ms(hum: Said, observed: Observed) -> float | None:
    """Return for how long the detector heard speech in the hum; None if it heard none."""
    for seen in observed.watch.utterances.values():
        if seen.started is not None and seen.ended is not None:
            begin, end = max(seen.started.speech_ms, hum.begin_ms), min(seen.ended.end_ms, hum.end_ms)
            if begin < end:
                return float(seen.ended.end_ms - seen.started.speech_ms)
    return None


def _modes(row: CallRecordRow) -> set[str]:
    return {seen.mode for seen in row.heard}


def _heard(one: TurnSeen) -> int:
    return 0 if one.heard is None else one.heard.words


def _agreed(one: TurnSeen) -> int:
    """Return how many of the words that the ear heard the service reports as heard."""
    if one.heard is None or one.reply is None or one.reply.ended is None:
        return 0
    return min(one.heard.words, len(one.reply.ended.heard.split()))
