"""The lines that `batkol call` prints: the events of the call while it is up, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Console
from rich.text import Text

from batkol.events.events import (
    AnyEvent,
    FinalText,
    PartialText,
    ReplyEnded,
    ReplyFailed,
    ReplyInterrupted,
    ReplySentence,
    RevisedText,
    TentativeText,
    TentativeWithdrawn,
    ToolCalled,
)
from batkol.quantity import quantity
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.twilio.advice import advice
from batkol.simulators.twilio.plan import CallOutcome, CallPlan, CallReport, StreamEnd
from batkol.terminal_text import isolated

REFUSED: Final = frozenset({1008, 1013})
"""Codes with which the service closes a stream that it does not take."""
_GAPS_SHOWN: Final = 3


def show(console: Console, event: AnyEvent, *, of_several: bool) -> None:
    """Print an event of a call."""
    found = _line_of(event)
    if found is not None:
        text, style = found
        whose = f"{event.call_sid[-6:]} " if of_several else ""
        console.print(Text(whose + text, style), soft_wrap=True)


def _line_of(event: AnyEvent) -> tuple[str, str] | None:
    match event:
        case PartialText():
            return f"🟡 Partial: {isolated(event.text)}", "yellow"
        case TentativeText():
            return f"🟠 Tentative {event.number}: {isolated(event.text)}", "yellow"
        case TentativeWithdrawn():
            return f"   withdrawn {event.number}: {event.reason}", "dim"
        case FinalText():
            by = event.recognizer or event.mode
            figures = f"{by}, {event.source}, {event.latency_ms:.0f} ms"
            return f"🟢 Final: {isolated(event.text)}  ({figures})", "green"
        case RevisedText():
            return f"   revised: {isolated(event.text)}", "green"
    return _told_of_agent(event)


def _told_of_agent(event: AnyEvent) -> tuple[str, str] | None:
    match event:
        case ReplySentence():
            return f"🔊 Agent: {isolated(event.text)}", "bold"
        case ReplyInterrupted():
            return f"   interrupted; heard: {isolated(event.heard)}", "dim"
        case ReplyEnded() if event.heard != event.intended:
            return f"   heard: {isolated(event.heard)}", "dim"
        case ReplyFailed():
            return f"   the {event.part} failed: {event.reason}", "red"
        case ToolCalled():
            return f"   tool {event.name}: {event.outcome}", "dim"
    return None


def report_on(console: Console, report: CallReport, plan: CallPlan, watch: CallWatch) -> None:
    """Print what came of a call."""
    parts = (
        report.call_sid,
        str(report.outcome),
        f"{report.frames_sent * 0.02:.1f} s sent",
        how_it_ended(report),
        _heard(report),
        _counted(watch),
        *((f"the TwiML said: {' / '.join(map(isolated, report.said))}",) if report.said else ()),
    )
    console.print(Text("☎  " + " · ".join(part for part in parts if part)), soft_wrap=True)
    for line in (*_refusals(report), *filter(None, (advice(report, plan),))):
        console.print(Text(f"   {line}", "red"), soft_wrap=True)
    for violation in report.violations:
        console.print(Text(f"   Twilio {violation.code}: {violation.text}", "red"), soft_wrap=True)


def _counted(watch: CallWatch) -> str:
    """Return what the service counted in the call; nothing where its end is not known."""
    if watch.ended is None:
        return ""
    return f"{quantity(watch.ended.utterances, 'utterance')}, {quantity(watch.ended.sessions, 'session')}"


def how_it_ended(report: CallReport) -> str:
    """Say who ended the call, and how."""
    if report.dialled:
        return f"transferred: the TwiML dialled {', '.join(report.dialled)}"
    if report.ended_by_rest:
        return "ended by Twilio's REST API, as the service asked"
    if not report.ends:
        return "its stream was left for other TwiML" if report.streams else "no stream"
    end = report.ends[-1]
    return f"{'hung up by the caller' if end.by == 'caller' else 'closed by the service'} ({_code(end)})"


def went_well(report: CallReport) -> bool:
    """Whether the call went as one should: a stream to its end, none refused, and no warning of Twilio's."""
    return report.outcome is CallOutcome.COMPLETED and report.clean and not list(_refusals(report))


def _refusals(report: CallReport) -> Iterator[str]:
    for number, end in enumerate(report.ends, 1):
        if end.by == "server" and end.code in REFUSED:
            on = "; the TwiML went on with another stream" if number < len(report.ends) else ""
            yield f"The service refused a stream ({_code(end)}){on}. Its log line `[TWILIO] stream closed` says why."


def _code(end: StreamEnd) -> str:
    return f"{end.code}: {end.reason}" if end.reason else str(end.code)


def _heard(report: CallReport) -> str:
    """Say how much sound of the service's the caller's ear heard; nothing where the service made none."""
    ear = report.ear
    if not ear.seconds:
        return ""
    gaps = "".join(f", a gap of {gap.seconds * 1000:.0f} ms" for gap in ear.gaps[:_GAPS_SHOWN])
    more = len(ear.gaps) - _GAPS_SHOWN
    return f"the caller heard {ear.seconds:.1f} s of the agent{gaps}" + (f" and {more} more" if more > 0 else "")
