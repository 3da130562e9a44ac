"""A call that moves from pod to pod goes on: one greeting, the history, the question that nobody has answered."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from batkol.events.events import CallStarted, FinalText, ReplyEnded, ReplyStarted
from batkol.simulators.llm.answers import Rule
from batkol.simulators.twilio.caller import Caller, Script, place_call
from support.agent.fragments import same
from support.agent.moved import FIRST, GREETING, SECOND, Pods, spoken, two_pods

FIRST_ANSWER: Final = ("מחר", "בוקר")
SECOND_ANSWER: Final = ("טלפון", "חשבון")
HISTORY: Final = [("assistant", GREETING), ("user", " ".join(FIRST)), ("assistant", " ".join(FIRST_ANSWER))]


def moving(pods: Pods) -> Script:
    """Return the script of a caller who is answered, moves, and is answered again."""

    async def talk(caller: Caller) -> None:
        sid = caller.plan.call_sid
        await pods.heard(pods.old, sid, 1)
        await caller.say(spoken(FIRST))
        await pods.heard(pods.old, sid, 2)
        await pods.drain()
        await pods.new.heard.until(lambda: pods.new.heard.of(sid, CallStarted))
        await caller.say(spoken(SECOND))
        await pods.heard(pods.new, sid, 1)

    return talk


async def moved(pods: Pods) -> list[str]:
    """Hold that call; return what the caller heard."""
    report = await place_call(pods.plan(), moving(pods))

    assert report.clean, report.violations
    assert report.streams == 2
    return [word.text for word in report.ear.words()]


async def test_a_drained_call_goes_on_with_its_history_and_one_greeting(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as pods:
        words = await moved(pods)

        assert same(words, [GREETING, *FIRST_ANSWER, *SECOND_ANSWER])
        assert pods.asked == [*HISTORY, ("user", " ".join(SECOND))]
        (sid,) = pods.new.heard.events
        assert [event.turn for event in pods.old.heard.of(sid, ReplyStarted)] == [1, 2]
        assert [event.turn for event in pods.new.heard.of(sid, ReplyStarted)] == [3]
        assert pods.new.heard.of(sid, CallStarted)[0].stream == 2


async def test_without_any_record_the_greeting_is_not_repeated_and_the_prompt_says_that_the_call_goes_on(
    tmp_path: Path,
) -> None:
    async with two_pods(tmp_path, peers=False, new={"answerer_prompt": "Be kind."}) as pods:
        words = await moved(pods)

        assert same(words, [GREETING, *FIRST_ANSWER, *SECOND_ANSWER])
        (prompt, question) = pods.asked
        assert question == ("user", " ".join(SECOND))
        assert prompt[1].startswith("Be kind.\n\nהשיחה הזו כבר החלה קודם")


@pytest.mark.nightly
async def test_a_pod_of_another_agent_tells_nothing(tmp_path: Path) -> None:
    async with two_pods(tmp_path, new={"voice_agent": "another"}) as pods:
        await moved(pods)

        assert all(role != "assistant" for role, _ in pods.asked)


@pytest.mark.nightly
async def test_a_question_that_the_old_pod_had_no_time_to_answer_is_answered_by_the_new_one(tmp_path: Path) -> None:
    async with two_pods(tmp_path) as pods:

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await pods.heard(pods.old, sid, 1)
            pods.balancer.pod = pods.new.service.port
            caller.say(spoken(FIRST))
            await pods.old.heard.until(lambda: any(pods.old.service.calls) and _speaks(pods))
            await pods.old.service.drain_calls()
            await pods.heard(pods.new, sid, 1)

        report = await place_call(pods.plan(), talk)

        assert report.clean, report.violations
        assert same([word.text for word in report.ear.words()], [GREETING, *FIRST_ANSWER])
        assert pods.asked == [("assistant", GREETING), ("user", " ".join(FIRST))]
        (final,) = pods.old.heard.of(report.call_sid, FinalText)
        assert final.text.rstrip(".?") == " ".join(FIRST)


@pytest.mark.nightly
async def test_a_reply_under_way_is_finished_to_its_sentence_and_the_new_pod_knows_what_was_heard(
    tmp_path: Path,
) -> None:
    long = "מחר בוקר. היום ערב. טלפון כתובת. חשבון מספר. מחר תור. רופא מתי. איפה כמה. למה מי. פגישה עזרה."
    async with two_pods(tmp_path) as pods:
        pods.llm.script(Rule("פגישה", long), Rule("רופא", " ".join(SECOND_ANSWER)))

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await pods.heard(pods.old, sid, 1)
            await caller.say(spoken(FIRST))
            await pods.old.heard.until(lambda: len(pods.old.heard.of(sid, ReplyStarted)) == 2)
            await pods.drain()
            await pods.new.heard.until(lambda: pods.new.heard.of(sid, CallStarted))
            await caller.say(spoken(SECOND))
            await pods.heard(pods.new, sid, 1)

        report = await place_call(pods.plan(), talk)

        assert report.clean, report.violations
        heard = pods.old.heard.of(report.call_sid, ReplyEnded)[-1].heard
        assert heard.endswith("."), "no sentence is cut"
        assert 0 < len(heard) < len(long)
        assert pods.asked == [
            ("assistant", GREETING), ("user", " ".join(FIRST)), ("assistant", heard), ("user", " ".join(SECOND)),
        ]  # fmt: skip
        words = [word.text for word in report.ear.words()]
        assert same(words, [GREETING, *heard.replace(".", "").split(), *SECOND_ANSWER])


@pytest.mark.nightly
async def test_a_caller_whose_first_stream_was_refused_is_greeted_by_the_pod_that_takes_the_call(
    tmp_path: Path,
) -> None:
    async with two_pods(tmp_path) as pods:
        await pods.old.service.drain_calls()
        pods.balancer.pod = pods.new.service.port
        pods.balancer.then = [pods.old.service.port, pods.new.service.port]

        async def talk(caller: Caller) -> None:
            await pods.heard(pods.new, caller.plan.call_sid, 1)

        report = await place_call(pods.plan(), talk)

        assert report.streams == 2
        assert same([word.text for word in report.ear.words()], [GREETING])


@pytest.mark.nightly
async def test_a_call_that_is_moved_on_one_pod_is_greeted_once_and_goes_on(tmp_path: Path) -> None:
    """A hold or a transfer back: no pod is asked, for this one knows the call."""
    async with two_pods(tmp_path, peers=False) as pods:

        async def talk(caller: Caller) -> None:
            sid = caller.plan.call_sid
            await pods.heard(pods.old, sid, 1)
            await caller.say(spoken(FIRST))
            await pods.heard(pods.old, sid, 2)
            await caller.move()
            await caller.say(spoken(SECOND))
            await pods.heard(pods.old, sid, 3)

        report = await place_call(pods.plan(), talk)

        assert report.clean, report.violations
        assert same([word.text for word in report.ear.words()], [GREETING, *FIRST_ANSWER, *SECOND_ANSWER])
        assert pods.asked == [*HISTORY, ("user", " ".join(SECOND))]


def _speaks(pods: Pods) -> bool:
    return any(call.speaking for call in pods.old.service.calls)
