"""A phone call becomes text: every mode, over the real wires."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import NamedTuple

import pytest

from batkol.events.events import CallStarted, KeyPressed, MarkPlayed
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.twilio.caller import CallEnding, Caller, CallReport, place_call
from batkol.voices.marked.voice import script
from support.service.stack import QUICK, Stack, stack, words_of, write_tuning
from support.time.waiting import until

HELLO = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"], ["מתי", "פגישה", "היום"]], gap_ms=900)
DROPPED = script([["שלום", "תודה", "בבקשה"]], tail_ms=40)
CUT = script([["שלום", "תודה", "בבקשה"]], tail_ms=0)
LOST = script([["שלום", "תודה"], ["בבקשה", "לא"]], gap_ms=1500)
BEFORE, AFTER = script([["שלום", "תודה"]], tail_ms=100), script([["כתובת", "היום"]], lead_ms=200)
"""Around a hold."""
PROMPT = DoubleSettings(final_latency_s=0.2)


class Placed(NamedTuple):
    """Calls of the same seconds: five of a service that streams, and two of one that does not."""

    on: Stack
    said: CallReport
    dropped: CallReport
    lost: CallReport
    held: CallReport
    off: Stack
    single: CallReport
    cut: CallReport
    left: int
    """Calls that the services still had after these."""


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Placed:
    return asyncio.run(_placed(tmp_path_factory.mktemp("calls")))


async def _placed(folder: Path) -> Placed:
    lost_at, held_at = LOST.utterances[0].end // 8 + 400, len(BEFORE.mulaw) // 8
    async with stack(folder / "on") as on, stack(folder / "off", streaming=False) as off:
        said, dropped, lost, held, single, cut = await asyncio.gather(
            on.call(HELLO.mulaw),
            on.call(DROPPED.mulaw, ending=CallEnding.ABRUPT),
            on.call(LOST.mulaw, gaps=((lost_at, 300),)),
            on.call(BEFORE.mulaw + AFTER.mulaw, holds=((held_at, 3000),)),
            off.call(HELLO.mulaw),
            off.call(CUT.mulaw),
        )
        left = len(on.service.calls) + len(off.service.calls)
    return Placed(on, said, dropped, lost, held, off, single, cut, left)


def test_a_streamed_call_gets_partials_and_one_final_an_utterance(placed: Placed) -> None:
    """The main job, with signatures on: every word, once, in its own utterance."""
    up, report = placed.on, placed.said
    assert report.clean, report.violations
    assert report.close_code == 1000
    assert up.heard.texts(report.call_sid) == words_of(HELLO)
    assert up.modes(report.call_sid) == ["streaming", "streaming"]
    assert len(up.heard.finals(report.call_sid)) == 2
    assert len(up.partials(report.call_sid)) >= 4
    ended = up.ended(report.call_sid)
    assert (ended.reason, ended.sessions, ended.fallbacks) == ("stop", 1, 0)


def test_only_finals_are_punctuated_and_questions_get_their_mark(placed: Placed) -> None:
    first, second = placed.on.heard.finals(placed.said.call_sid)
    assert first.text.endswith(".")
    assert second.text.endswith("?")
    assert not any(partial.text.endswith((".", "?")) for partial in placed.on.partials(placed.said.call_sid))


def test_with_the_flag_off_streaming_does_not_exist(placed: Placed) -> None:
    up, report = placed.off, placed.single
    assert up.heard.texts(report.call_sid) == words_of(HELLO)
    assert up.modes(report.call_sid) == ["single", "single"]
    assert up.partials(report.call_sid) == []
    assert {final.source for final in up.heard.finals(report.call_sid)} == {"single"}
    assert up.ended(report.call_sid).sessions == 0
    assert up.double.stats()["streams_opened"] == 0


def test_an_abrupt_drop_still_finishes_the_utterance_in_hand(placed: Placed) -> None:
    assert placed.on.heard.texts(placed.dropped.call_sid) == words_of(DROPPED)
    assert placed.on.ended(placed.dropped.call_sid).reason == "dropped"
    assert placed.left == 0


def test_hanging_up_in_the_middle_of_a_word_loses_no_whole_word(placed: Placed) -> None:
    assert placed.off.heard.texts(placed.cut.call_sid) == words_of(CUT)


def test_lost_frames_become_silence_and_the_words_around_them_stay_where_they_were(placed: Placed) -> None:
    up, sid = placed.on, placed.lost.call_sid
    assert up.heard.texts(sid) == words_of(LOST)
    assert up.ended(sid).gap_ms in range(280, 340)
    second = up.heard.finals(sid)[1]
    assert abs(second.begin_ms + 300 - LOST.utterances[1].start // 8) < 250


def test_a_hold_without_media_ends_the_utterance_and_the_call_goes_on(placed: Placed) -> None:
    """Twilio sends nothing for three seconds; silence goes on by the wall clock, so nothing waits for it."""
    assert placed.on.heard.texts(placed.held.call_sid) == [BEFORE.text, AFTER.text]
    assert placed.held.clean


async def test_a_flip_takes_effect_at_the_next_utterance_of_a_call_in_progress(tmp_path: Path) -> None:
    """On, off and on again during one call: the session ends when no utterance needs it, and another one opens."""
    parts = [
        script([utterance], lead_ms=600, tail_ms=900)
        for utterance in (["שלום", "תודה"], ["כן", "מספר", "טלפון"], ["בבקשה", "לא"])
    ]

    async with stack(tmp_path, double=PROMPT, speed=QUICK) as up:

        async def talk(caller: Caller) -> None:
            for number, part in enumerate(parts):
                await caller.say(part.mulaw)
                await up.heard.has_finals(caller.plan.call_sid, number + 1)
                before = up.service.live.status().flags_revision
                up.flip(on=number == 1)
                async with asyncio.timeout(40):
                    while up.service.live.status().flags_revision == before:
                        await asyncio.sleep(0.02)

        report = await up.call(script=talk)

        assert up.modes(report.call_sid) == ["streaming", "single", "streaming"]
        assert up.heard.texts(report.call_sid) == [part.text for part in parts]
        assert up.ended(report.call_sid).sessions == 2


async def test_tuning_changes_a_call_in_progress(tmp_path: Path) -> None:
    """A long debounce written during the call thins the partials out; nothing is restarted."""
    words = ["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר"]
    part = script([words], lead_ms=400, tail_ms=1000)

    async with stack(tmp_path, double=PROMPT, speed=QUICK) as up:
        write_tuning(tmp_path, {"recognition": {"partialDebounceMilliseconds": 0}})

        async def talk(caller: Caller) -> None:
            await caller.say(part.mulaw)
            write_tuning(tmp_path, {"revision": "slow", "recognition": {"partialDebounceMilliseconds": 2000}})
            async with asyncio.timeout(40):
                while up.service.live.tuning.revision != "slow":
                    await asyncio.sleep(0.02)
            await caller.say(part.mulaw)

        report = await up.call(script=talk)

        fast, slow = (
            [p for p in up.partials(report.call_sid) if p.index == final.index]
            for final in up.heard.finals(report.call_sid)
        )
        assert len(slow) < len(fast)
        assert len(slow) <= 4
        assert up.heard.texts(report.call_sid) == [" ".join(words)] * 2


async def test_the_call_over_the_limit_hears_an_apology_and_never_a_dead_stream(tmp_path: Path) -> None:
    async with stack(tmp_path, max_calls=1) as up:
        over = asyncio.Event()
        first = asyncio.create_task(up.call(CUT.mulaw, ending=CallEnding.SERVER, hangup=over))
        await up.heard.until(lambda: any(isinstance(e, CallStarted) for es in up.heard.events.values() for e in es))

        refused = await place_call(up.plan(CUT.mulaw))
        over.set()

        assert refused.streams == 0
        assert len(refused.said) == 1
        assert refused.clean
        assert (await first).clean


async def test_keys_and_marks_reach_subscribers_and_sound_reaches_the_caller(tmp_path: Path) -> None:
    """The outbound half: sound, a mark that comes back when it was played, and keys coming in."""
    async with stack(tmp_path) as up:

        async def talk(caller: Caller) -> None:
            await up.heard.until(lambda: up.service.calls.get(caller.plan.call_sid))
            call = up.service.calls.get(caller.plan.call_sid)
            assert call is not None
            caller.say(b"\xff" * 8000)
            call.playout.play(b"\x7f" * 1600)
            call.playout.mark("greeting")
            caller.press("5")
            await up.heard.until(lambda: up.heard.of(caller.plan.call_sid, MarkPlayed))

        report = await up.call(script=talk)

        assert bytes(report.heard) == b"\x7f" * 1600
        assert [mark.name for mark in up.heard.of(report.call_sid, MarkPlayed)] == ["greeting"]
        assert [mark for mark in report.marks if not mark.startswith("batkol-")] == ["greeting"]  # others are playout's
        assert report.clean
        assert [key.digit for key in up.heard.of(report.call_sid, KeyPressed)] == ["5"]


async def test_what_the_service_takes_for_heard_at_a_clear_is_what_the_caller_heard(tmp_path: Path) -> None:
    """On the wire, with a network between; tests/service/calls/test_playout.py has the bounds, in virtual time."""
    sound = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"]], lead_ms=0).mulaw
    async with stack(tmp_path) as up:
        heard: list[int] = []

        async def interrupt(caller: Caller) -> None:
            await up.heard.until(lambda: up.service.calls.get(caller.plan.call_sid))
            call = up.service.calls.get(caller.plan.call_sid)
            assert call is not None
            call.playout.play(sound)
            call.playout.mark("never played")
            await until(lambda: len(caller.report.heard) > 5000)
            heard.append(call.playout.clear())
            await until(lambda: caller.report.clears and len(caller.report.marks) >= 3)

        report = await up.call(script=interrupt, speed=1.0, delay_ms=80.0, jitter_ms=20.0)

    assert sound.startswith(report.heard)
    assert len(report.heard) < len(report.received) < len(sound)
    assert heard == [pytest.approx(len(report.heard), abs=2400)]  # a word
    assert report.ear.words()[0].text == "שלום"
    assert report.clean
