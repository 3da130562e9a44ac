"""`batkol call`: one or several simulated calls to any service, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

from batkol.errors import BatkolError
from batkol.events.events import AnyEvent, FinalText, PartialText, RevisedText, TentativeText, TentativeWithdrawn
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.conversation import Internal
from batkol.simulators.client.watching import RESUME_S, watching
from batkol.simulators.twilio.caller import Caller, CallOutcome, CallPlan, CallReport, read_wav
from batkol.simulators.twilio.own_twiml import own_twiml
from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.client import follow_updates, put_status
from batkol.voices.marked import voice

SCRIPT: Final = (("שלום", "אני", "רוצה", "פגישה"), ("היום", "בוקר", "תודה"), ("כן", "תודה"))
_LAST_EVENT_S: Final = 15.0
_GAPS_SHOWN: Final = 3


class NothingToSay(BatkolError):  # noqa: N818 - completes a sentence
    """The WAV file, the words or the TwiML cannot be played."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of the command line. The plan's call SID is for the first call."""

    plan: CallPlan
    calls: int
    internal: Internal | None
    said: tuple[str, ...] = field(default=())  # the voice's words; empty for a WAV file
    twilio_double: str = ""  # the control port of the double that knows the calls; empty: there is none


def sound(wav: Path | None, words: str | None) -> tuple[bytes, tuple[str, ...]]:
    """Return mu-law and its words, if they are known. Raises `NothingToSay`."""
    if wav is not None:
        try:
            return read_wav(wav), ()
        except (OSError, ValueError) as error:
            raise NothingToSay(f"The call has nothing to say: {error}") from error
    utterances = SCRIPT if words is None else tuple(tuple(part.split()) for part in words.split(",") if part.split())
    unknown = sorted({word for utterance in utterances for word in utterance} - set(voice.WORDS))
    if unknown or not utterances:
        raise NothingToSay(
            f"The voice cannot say {' '.join(unknown) or 'nothing'}. Its words (a comma makes a pause): "
            + " ".join(voice.WORDS)
        )
    spoken = voice.script(utterances)
    return spoken.mulaw, tuple(utterance.text for utterance in spoken.utterances)


def twiml_of(base: str, file: Path | None, secret: str, parameters: Sequence[str], *, asked: bool) -> str:
    """Return the TwiML of the account's own; empty where nothing asks for it. Raises `NothingToSay`."""
    if file is not None:
        try:
            return file.read_text()
        except (OSError, ValueError) as error:
            raise NothingToSay(f"The TwiML cannot be read: {error}") from error
    if not (asked or secret or parameters):
        return ""
    if any("=" not in each for each in parameters):
        raise NothingToSay("--parameter is not NAME=VALUE; one looks like menu=sales.")
    given = {name: value for name, _, value in (each.partition("=") for each in parameters)}
    return own_twiml(base, ({"secret": secret} if secret else {}) | given)


async def carry_out(options: CallOptions, console: Console) -> int:
    """Place the calls and print what came of them; 0 if all of them went as a call should, else 1.

    Raises `ClientError`. Cancelling it drops the connections.
    """
    for text in options.said:
        console.print(Text(f"🗣  says: {text}"), soft_wrap=True)
    plans = [options.plan, *(replace(options.plan, call_sid=new_sid("CA")) for _ in range(1, options.calls))]
    watches = [CallWatch(plan.call_sid, lambda event: _show(console, event, options.calls)) for plan in plans]
    async with AsyncExitStack() as stack:
        following_all: list[asyncio.Task[None]] = []
        if options.internal is not None:
            for watch in watches:
                events = await stack.enter_async_context(
                    watching(options.internal.url, options.internal.token, resume_s=RESUME_S)
                )
                following_all.append(asyncio.create_task(watch.follow(events), name="call.watch"))
        try:
            reports = await asyncio.gather(*(_place(plan, options.twilio_double) for plan in plans))
            if any(report.streams for report in reports) and following_all:
                await asyncio.wait(following_all, timeout=_LAST_EVENT_S)
        finally:
            for task in following_all:
                task.cancel()
            await asyncio.gather(*following_all, return_exceptions=True)
    for report, watch in zip(reports, watches, strict=True):
        _report(console, report, watch)
    return 0 if all(_went_well(report) for report in reports) else 1


async def _place(plan: CallPlan, double: str) -> CallReport:
    """Place the call, with its states in the double of Twilio's REST API."""
    await put_status(double, plan, "in-progress")
    caller = Caller(plan)
    following = asyncio.create_task(follow_updates(double, plan.call_sid, caller.updated), name="call.updates")
    try:
        return await caller.run()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await put_status(double, plan, "completed")


def _show(console: Console, event: AnyEvent, calls: int) -> None:
    whose = f"{event.call_sid[-6:]} " if calls > 1 else ""
    match event:
        case PartialText():
            console.print(Text(f"{whose}🟡 Partial: {event.text}", "yellow"), soft_wrap=True)
        case TentativeText():
            console.print(Text(f"{whose}🟠 Tentative {event.number}: {event.text}", "yellow"), soft_wrap=True)
        case TentativeWithdrawn():
            console.print(Text(f"{whose}   withdrawn {event.number}: {event.reason}", "dim"), soft_wrap=True)
        case FinalText():
            figures = f"{event.mode}, {event.source}, {event.latency_ms:.0f} ms"
            console.print(Text(f"{whose}🟢 Final: {event.text}  ({figures})", "green"), soft_wrap=True)
        case RevisedText():
            console.print(Text(f"{whose}   revised: {event.text}", "green"), soft_wrap=True)


def _report(console: Console, report: CallReport, watch: CallWatch) -> None:
    parts: Sequence[str] = (
        report.call_sid,
        str(report.outcome),
        f"{report.frames_sent * 0.02:.1f} s sent",
        f"closed by {report.closed_by or 'nobody'} ({report.close_code})",
        _heard(report),
        *((f"{watch.ended.utterances} utterances, {watch.ended.sessions} sessions",) if watch.ended else ()),
        *((f"told: {' / '.join(report.said)}",) if report.said else ()),
    )
    console.print(Text("☎  " + " · ".join(parts)), soft_wrap=True)
    for violation in report.violations:
        console.print(Text(f"   Twilio {violation.code}: {violation.text}", "red"), soft_wrap=True)


def _heard(report: CallReport) -> str:
    """Say what the caller's ear heard of the service's sound."""
    ear = report.ear
    gaps = "".join(f", a gap of {gap.seconds * 1000:.0f} ms" for gap in ear.gaps[:_GAPS_SHOWN])
    more = len(ear.gaps) - _GAPS_SHOWN
    return f"{ear.seconds:.1f} s heard{gaps}" + (f" and {more} more" if more > 0 else "")


def _went_well(report: CallReport) -> bool:
    return report.outcome is CallOutcome.COMPLETED and report.clean
