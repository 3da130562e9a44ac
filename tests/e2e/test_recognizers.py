"""Two streaming recognizers under a call: the flag changes them, one takes over from the other. On the real wires."""

from __future__ import annotations

from pathlib import Path

from batkol.events.events import FinalText
from batkol.simulators.google.faults import Fault, Kind
from batkol.simulators.twilio.caller import Caller
from batkol.voices.marked.voice import say
from support.service.stack import Stack, stack
from support.time.waiting import until

DEFAULT, SEARCH = "google-v1/default", "google-v1/command_and_search"
SPOKEN = [say(words) for words in (["אני", "רופא"], ["מחר", "תודה"], ["בוקר", "שלום"])]


async def choose(up: Stack) -> None:
    """Write the flag as an SRE would, and wait until it is in force."""
    before = up.service.live.status().flags_revision
    up.choose(SEARCH)
    await until(lambda: up.service.live.status().flags_revision != before)


async def test_a_flag_changes_the_recognizer_of_a_call_that_is_up_and_a_refusal_changes_it_back(tmp_path: Path) -> None:
    async with stack(tmp_path, stt_recognizers_order=(DEFAULT, SEARCH)) as up:

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            for number, spoken in enumerate(SPOKEN, 1):
                if number == 2:
                    await choose(up)
                if number == 3:
                    up.double.inject(Fault(kind=Kind.END, streams=(2,), running=True, code="PERMISSION_DENIED"))
                await caller.say(spoken.mulaw)
                await up.heard.until(lambda: len(up.heard.of(sid, FinalText)) == number)  # noqa: B023  awaited here

        report = await up.call(script=talk)
        finals = up.heard.of(report.call_sid, FinalText)
        status = up.service.status().recognizer.streaming
        shown = up.service.metrics.render().decode().splitlines()

    assert report.clean, report.violations
    assert [(final.text.rstrip(".?"), final.recognizer) for final in finals] == [
        (spoken.text, name) for spoken, name in zip(SPOKEN, (DEFAULT, SEARCH, DEFAULT), strict=True)
    ]
    assert {name: (each.model, each.breaker.state) for name, each in status.items()} == {
        DEFAULT: ("default", "closed"),
        SEARCH: ("command_and_search", "open"),
    }
    changes = [line for line in shown if line.startswith("batkol_recognizer_changes_total") and line.endswith(" 1.0")]
    assert [SEARCH in line and "chosen" in line for line in changes].count(True) == 1
    assert [DEFAULT in line and "permission_denied" in line for line in changes].count(True) == 1
