"""A phone call becomes text: every mode, over the real wires."""

from __future__ import annotations

import asyncio
from pathlib import Path

from batkol.events.events import CallStarted, KeyPressed, MarkPlayed
from batkol.simulators.twilio.caller import CallEnding, Caller, place_call
from batkol.simulators.voice.voice import script
from support.service.stack import stack, words_of, write_tuning

HELLO = script([["שלום", "אני", "רוצה", "לקבוע", "פגישה"], ["מתי", "פגישה", "היום"]], gap_ms=900)


async def test_a_streamed_call_gets_partials_and_one_final_an_utterance(tmp_path: Path) -> None:
    """The main job, with signatures on: every word, once, in its own utterance."""
    async with stack(tmp_path) as up:
        report = await up.call(HELLO.mulaw)

        assert report.clean, report.violations
        assert report.close_code == 1000
        assert up.heard.texts(report.call_sid) == words_of(HELLO)
        assert up.modes(report.call_sid) == ["streaming", "streaming"]
        assert len(up.heard.finals(report.call_sid)) == 2
        assert len(up.partials(report.call_sid)) >= 4
        ended = up.ended(report.call_sid)
        assert (ended.reason, ended.sessions, ended.fallbacks) == ("stop", 1, 0)


async def test_only_finals_are_punctuated_and_questions_get_their_mark(tmp_path: Path) -> None:
    async with stack(tmp_path) as up:
        report = await up.call(HELLO.mulaw)

        first, second = up.heard.finals(report.call_sid)
        assert first.text.endswith(".")
        assert second.text.endswith("?")
        assert not any(partial.text.endswith((".", "?")) for partial in up.partials(report.call_sid))


async def test_with_the_flag_off_streaming_does_not_exist(tmp_path: Path) -> None:
    async with stack(tmp_path, streaming=False) as up:
        report = await up.call(HELLO.mulaw)

        assert up.heard.texts(report.call_sid) == words_of(HELLO)
        assert up.modes(report.call_sid) == ["single", "single"]
        assert up.partials(report.call_sid) == []
        assert {final.source for final in up.heard.finals(report.call_sid)} == {"single"}
        assert up.ended(report.call_sid).sessions == 0
        assert up.double.stats()["streams_opened"] == 0


async def test_a_flip_takes_effect_at_the_next_utterance_of_a_call_in_progress(tmp_path: Path) -> None:
    """On, off and on again during one call: the session ends when no utterance needs it, and another one opens."""
    parts = [
        script([utterance], lead_ms=600, tail_ms=1000)
        for utterance in (["שלום", "תודה"], ["כן", "מספר", "טלפון"], ["בבקשה", "לא"])
    ]

    async with stack(tmp_path) as up:

        async def talk(caller: Caller) -> None:
            for number, part in enumerate(parts):
                await caller.say(part.mulaw)
                await up.heard.has_finals(caller.plan.call_sid, number + 1)
                before = up.service.live.status().flags_revision
                up.flip(on=number == 1)
                async with asyncio.timeout(5):
                    while up.service.live.status().flags_revision == before:
                        await asyncio.sleep(0.02)

        report = await up.call(script=talk)

        assert up.modes(report.call_sid) == ["streaming", "single", "streaming"]
        assert up.heard.texts(report.call_sid) == [part.text for part in parts]
        assert up.ended(report.call_sid).sessions == 2


async def test_an_abrupt_drop_still_finishes_the_utterance_in_hand(tmp_path: Path) -> None:
    talk = script([["שלום", "תודה", "בבקשה"]], tail_ms=40)

    async with stack(tmp_path) as up:
        report = await up.call(talk.mulaw, ending=CallEnding.ABRUPT)

        assert up.heard.texts(report.call_sid) == words_of(talk)
        assert up.ended(report.call_sid).reason == "dropped"
        assert len(up.service.calls) == 0


async def test_hanging_up_in_the_middle_of_a_word_loses_no_whole_word(tmp_path: Path) -> None:
    talk = script([["שלום", "תודה", "בבקשה"]], tail_ms=0)

    async with stack(tmp_path, streaming=False) as up:
        report = await up.call(talk.mulaw)

        assert up.heard.texts(report.call_sid) == words_of(talk)


async def test_lost_frames_become_silence_and_the_words_around_them_stay_where_they_were(tmp_path: Path) -> None:
    talk = script([["שלום", "תודה"], ["בבקשה", "לא"]], gap_ms=1500)
    silence_at = talk.utterances[0].end // 8 + 400

    async with stack(tmp_path) as up:
        report = await up.call(talk.mulaw, gaps=((silence_at, 300),))

        assert up.heard.texts(report.call_sid) == words_of(talk)
        assert up.ended(report.call_sid).gap_ms in range(280, 340)
        second = up.heard.finals(report.call_sid)[1]
        assert abs(second.begin_ms + 300 - talk.utterances[1].start // 8) < 250


async def test_a_hold_without_media_ends_the_utterance_and_the_call_goes_on(tmp_path: Path) -> None:
    """Twilio sends nothing for three seconds; silence goes on by the wall clock, so nothing waits for it."""
    first, second = script([["שלום", "תודה"]], tail_ms=100), script([["כתובת", "היום"]], lead_ms=200)
    hold_at = len(first.mulaw) // 8

    async with stack(tmp_path) as up:
        report = await up.call(first.mulaw + second.mulaw, holds=((hold_at, 3000),))

        assert up.heard.texts(report.call_sid) == [first.text, second.text]
        assert report.clean


async def test_tuning_changes_a_call_in_progress(tmp_path: Path) -> None:
    """A long debounce written during the call thins the partials out; nothing is restarted."""
    words = ["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "בוקר"]
    part = script([words], lead_ms=400, tail_ms=1000)

    async with stack(tmp_path) as up:
        write_tuning(tmp_path, {"recognition": {"partialDebounceMilliseconds": 0}})

        async def talk(caller: Caller) -> None:
            await caller.say(part.mulaw)
            write_tuning(tmp_path, {"revision": "slow", "recognition": {"partialDebounceMilliseconds": 2000}})
            async with asyncio.timeout(5):
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
        first = asyncio.create_task(up.call(HELLO.mulaw))
        await up.heard.until(lambda: any(isinstance(e, CallStarted) for es in up.heard.events.values() for e in es))

        refused = await place_call(up.plan(HELLO.mulaw))

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
        assert report.marks == ["greeting"]
        assert report.clean
        assert [key.digit for key in up.heard.of(report.call_sid, KeyPressed)] == ["5"]
