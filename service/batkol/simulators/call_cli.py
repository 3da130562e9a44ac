"""`batkol call`: one or several simulated calls to any service, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from rich.text import Text

from batkol.errors import BatkolError
from batkol.interrupt import on_interrupt
from batkol.simulators.call_page import report_on, show, went_well
from batkol.simulators.client.call_record import CallWatch
from batkol.simulators.client.conversation import Internal
from batkol.simulators.client.recording import Recording, read_recording
from batkol.simulators.client.refused import refusals
from batkol.simulators.client.unheard import cannot_hear, why_unheard
from batkol.simulators.client.watching import RESUME_S, watching
from batkol.simulators.twilio.caller import Caller, CallPlan, CallReport, Script
from batkol.simulators.twilio.own_twiml import own_twiml
from batkol.simulators.twilio.plan import new_sid
from batkol.simulators.twilio_rest.client import follow_updates, put_status
from batkol.terminal_text import isolated
from batkol.voices.marked import voice

SCRIPT: Final = (("שלום", "אני", "רוצה", "פגישה"), ("היום", "בוקר", "תודה"), ("כן", "תודה"))
_LAST_EVENT_S: Final = 15.0


class NothingToSay(BatkolError):  # noqa: N818 - completes a sentence
    """The words or the TwiML cannot be played."""


@dataclass(frozen=True, slots=True)
class CallOptions:
    """The options of the command line. The plan's call SID is for the first call."""

    plan: CallPlan
    calls: int
    internal: Internal | None
    said: tuple[str, ...] = field(default=())  # the voice's words; empty for a recording
    twilio_double: str = ""  # the control port of the double that knows the calls; empty: there is none
    stay: bool = False  # after what it says, the caller listens until a hang-up or Ctrl-C
    recording: Recording | None = None  # that the caller plays; None: the built-in voice speaks
    last_event_s: float = _LAST_EVENT_S  # longest wait for the last event of a call that is over


class CallerSound(NamedTuple):
    """The caller's sound: mu-law, and the words of the built-in voice or the recording that it is."""

    mulaw: bytes
    words: tuple[str, ...] = ()
    recording: Recording | None = None


def sound(wav: Path | None, words: str | None) -> CallerSound:
    """Return the sound of the caller. Raises `NothingToSay`, `RecordingError`."""
    if wav is not None:
        found = read_recording(wav)
        return CallerSound(found.mulaw, recording=found)
    utterances = SCRIPT if words is None else tuple(tuple(part.split()) for part in words.split(",") if part.split())
    unknown = sorted({word for utterance in utterances for word in utterance} - set(voice.WORDS))
    if unknown or not utterances:
        raise NothingToSay(
            f"The voice cannot say {isolated(' '.join(unknown)) or 'nothing'}. Its words (a comma makes a pause): "
            + isolated(" ".join(voice.WORDS))
        )
    spoken = voice.script(utterances)
    return CallerSound(spoken.mulaw, tuple(utterance.text for utterance in spoken.utterances))


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
    """Place the calls and print what came of them; 0 if all of them went as a call should and were heard, else 1.

    With `stay`, the first Ctrl-C hangs up. Raises `ClientError`. Cancelling it drops the connections.
    """
    for text in options.said:
        console.print(Text(f"🗣  says: {isolated(text)}"), soft_wrap=True)
    internal = None if options.internal is None else await _asked(options.internal, options.recording, console)
    hung_up = asyncio.Event()
    plan = replace(options.plan, hangup=hung_up)
    plans = [plan, *(replace(plan, call_sid=new_sid("CA")) for _ in range(1, options.calls))]
    watches = [
        CallWatch(each.call_sid, lambda event: show(console, event, of_several=options.calls > 1)) for each in plans
    ]
    async with _following(internal, watches) as following, _staying(options, hung_up, console) as script:
        reports = await asyncio.gather(*(_place(each, options.twilio_double, script) for each in plans))
        if any(report.streams for report in reports) and following:
            await asyncio.wait(following, timeout=options.last_event_s)
    for report, each, watch in zip(reports, plans, watches, strict=True):
        report_on(console, report, each, watch)
    went = [report for report in reports if went_well(report)]
    heard = await _heard(internal, options.recording, went, watches, console)
    return 0 if heard and len(went) == len(reports) else 1


async def _asked(internal: Internal, recording: Recording | None, console: Console) -> Internal:
    """Return the internal API of all pods; say first what its recognizer cannot hear. Raises `ClientError`."""
    if why := cannot_hear(await internal.status(), recording):
        console.print(Text(f"   {why}", "yellow"), soft_wrap=True)
    return await internal.with_scope()


async def _heard(
    internal: Internal | None,
    recording: Recording | None,
    reports: Sequence[CallReport],
    watches: Sequence[CallWatch],
    console: Console,
) -> bool:
    """Print why a call was not heard, and return whether all were, as far as it is known. Raises `ClientError`."""
    if internal is None:
        return not reports or _may_be_heard(recording, console)
    placed = {report.call_sid for report in reports}
    state, heard = await internal.status() if placed else None, True
    for refusal in () if state is None else refusals(state):
        console.print(Text(f"   {refusal}", "red"), soft_wrap=True)
    for watch in watches:
        if watch.call_sid in placed and (why := why_unheard(watch, state, recording)):
            whose = f"{watch.call_sid[-6:]} " if len(watches) > 1 else ""
            console.print(Text(f"   {whose}{why}", "red"), soft_wrap=True)
            heard = False
    return heard


def _may_be_heard(recording: Recording | None, console: Console) -> bool:
    if recording is not None and recording.is_faint:
        line = f"   No service can have heard a word: {recording.name} {recording.level}. Record it louder."
        console.print(Text(line, "red"), soft_wrap=True)
        return False
    line = "   Give --internal, the service's internal API, to read what was recognized and whether the call was heard."
    console.print(Text(line, "dim"), soft_wrap=True)
    return True


@asynccontextmanager
async def _following(
    internal: Internal | None, watches: Sequence[CallWatch]
) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Have each watch take the events of its call; yield the tasks, which end with their calls."""
    async with AsyncExitStack() as stack:
        tasks: list[asyncio.Task[None]] = []
        for watch in watches:
            if internal is None:
                break
            feed = watching(internal.url, internal.token, resume_s=RESUME_S, scope=internal.scope)
            events = await stack.enter_async_context(feed)
            tasks.append(asyncio.create_task(watch.follow(events), name="call.watch"))
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def _staying(options: CallOptions, hung_up: asyncio.Event, console: Console) -> AsyncIterator[Script | None]:
    """Yield what a caller does who stays on the line; None for one that hangs up after the last word."""
    if not options.stay:
        yield None
        return
    how = "" if options.internal else "; give --internal to read what the agent says"
    console.print(Text(f"   The caller stays on the line; Ctrl-C hangs up{how}.", "dim"), soft_wrap=True)

    async def stay(_: Caller) -> None:
        await hung_up.wait()

    restore = on_interrupt(lambda: _hang_up(hung_up, restore))
    try:
        yield stay
    finally:
        restore()


def _hang_up(hung_up: asyncio.Event, restore: Callable[[], None]) -> None:
    hung_up.set()
    restore()  # the next Ctrl-C ends the command


async def _place(plan: CallPlan, double: str, script: Script | None) -> CallReport:
    """Place the call, with its states in the double of Twilio's REST API."""
    await put_status(double, plan, "in-progress")
    caller = Caller(plan, script)
    following = asyncio.create_task(follow_updates(double, plan.call_sid, caller.updated), name="call.updates")
    try:
        return await caller.run()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await put_status(double, plan, "completed")
