"""One conversation over its real playout to the caller's ear, in virtual time."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from batkol.answering.answerer import HistoryMessage, Question, Role
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.speech.turn_thresholds import TurnThresholds
from batkol.speech.utterance import Source
from batkol.voices.behind import BehindVoice
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import talking

pytestmark = pytest.mark.virtual_time

ANSWER = "שלום אני רוצה לקבוע פגישה מחר בבוקר תודה"


def answering(text: str = "שלום אני רוצה לקבוע פגישה מחר תודה", **about: float) -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text, **about)  # type: ignore[arg-type]


async def test_a_caller_is_answered_within_the_second() -> None:
    answerer = answering("שלום תודה")
    async with talking(answerer) as talk:
        await talk.say("מה מספר טלפון")
        await asyncio.sleep(0.1)
        talk.final("מה מספר טלפון?")
        await asyncio.sleep(4)

        assert talk.words == ["שלום", "תודה"]
        [started], [ended] = talk.of(events.FirstSoundWritten), talk.of(events.ReplySettled)
        assert started.latency is not None
        assert 0.7 < started.latency.total < 0.8
        parts = started.latency
        split = (parts.text, parts.first_token, parts.first_piece, parts.first_sound, parts.commit)
        assert sum(split) == pytest.approx(parts.total)
        assert (ended.intended, ended.heard, ended.interrupted) == ("שלום תודה", "שלום תודה", False)
        assert [event.text for event in talk.of(events.SentenceBegan)] == ["שלום תודה"]
        assert len(answerer.asked) == 1


async def test_an_answer_that_is_still_spoken_when_it_is_heard_ends_once() -> None:
    async with talking(answering("שלום. תודה.", word_s=0.5)) as talk:
        for _ in range(2):
            await talk.say("מה מספר טלפון")
            talk.final("מה מספר טלפון")
            await asyncio.sleep(6)

        assert talk.words == ["שלום", "תודה", "שלום", "תודה"]
        assert [ended.heard for ended in talk.of(events.ReplySettled)] == ["שלום. תודה."] * 2


async def test_the_next_question_has_the_history() -> None:
    answerer = answering("שלום תודה")
    async with talking(answerer) as talk:
        await talk.say("מה מספר טלפון")
        talk.final("מה מספר טלפון")
        await asyncio.sleep(4)
        await talk.say("כמה")
        talk.final("כמה")
        await asyncio.sleep(4)

    assert msgspec.structs.replace(answerer.asked[-1], facts=None) == Question(
        text="כמה",
        history=(HistoryMessage(Role.CALLER, "מה מספר טלפון"), HistoryMessage(Role.AGENT, "שלום תודה")),
        call_sid="CA" + "0" * 32,
        turn=2,
    )


async def test_an_attempt_that_is_thrown_away_is_never_heard() -> None:
    answerer = ScriptedAnswerer(lambda question: "מחר" if "היום" in question.text else "כן")
    async with talking(answerer) as talk:
        talk.begin()
        await asyncio.sleep(0.5)
        talk.reaches("אני רוצה")
        await asyncio.sleep(0.2)
        talk.goes_on()
        await asyncio.sleep(0.3)
        talk.reaches("אני רוצה היום")
        await asyncio.sleep(0.4)
        talk.stop()
        talk.final("אני רוצה היום")
        await asyncio.sleep(3)

        assert talk.words == ["מחר"]
        assert (len(answerer.asked), answerer.cancelled) == (2, 1)
        assert [event.attempt for event in talk.of(events.AttemptDropped)] == [1]


async def test_an_interruption_silences_the_agent_and_cuts_the_history_to_what_was_heard() -> None:
    answerer = answering()
    async with talking(answerer) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(2.5)
        talk.begin()
        await asyncio.sleep(0.45)
        talk.lasts()
        await asyncio.sleep(0.2)
        talk.interim("רגע אני")
        heard_then = talk.words
        await asyncio.sleep(0.4)
        talk.reaches("רגע אני רוצה משהו")
        await asyncio.sleep(0.4)
        talk.stop()
        talk.final("רגע אני רוצה משהו")
        await asyncio.sleep(1)

        [interrupted] = talk.of(events.ReplyCut)
        assert interrupted.heard.split() == [word for word in heard_then if word in ANSWER]
        ended = talk.of(events.ReplySettled)[0]
        assert (ended.heard, ended.interrupted) == (interrupted.heard, True)
        assert answerer.asked[-1].history[1] == HistoryMessage(Role.AGENT, interrupted.heard)
        assert 0 < len(interrupted.heard.split()) < len(ended.intended.split())


async def test_noise_that_interrupts_costs_a_pause_and_the_reply_goes_on() -> None:
    answerer = answering()
    async with talking(answerer) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(2.0)
        talk.begin()
        await asyncio.sleep(0.45)
        talk.lasts()
        await asyncio.sleep(8)

        [resumed], [ended] = talk.of(events.ReplyContinued), talk.of(events.ReplySettled)
        assert (ended.heard, ended.interrupted) == ("שלום אני רוצה לקבוע פגישה מחר תודה", False)
        assert resumed.index == 1
        [interrupted] = talk.of(events.ReplyCut)
        assert interrupted.heard == "שלום אני רוצה לקבוע"
        words = [word for word in talk.words if word in ANSWER]
        assert words == ["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "תודה"], "the piece under way is said again"


async def test_a_mm_hm_is_not_noticed_by_the_ear() -> None:
    async with talking(answering()) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.5)
        talk.begin()
        await asyncio.sleep(0.35)
        talk.interim("כן")
        await asyncio.sleep(0.5)
        talk.stop(ago_s=0.5)
        talk.final("כן")
        await asyncio.sleep(6)

        assert talk.words == ["שלום", "אני", "רוצה", "לקבוע", "פגישה", "מחר", "תודה"]
        assert talk.ear.ear.gaps == ()
        assert talk.of(events.ReplyCut) == []


async def test_a_slow_answerer_gets_a_filler_and_a_dead_one_an_apology() -> None:
    async with talking(answering(first_s=60.0)) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(6)

        assert talk.words == ["בבקשה", "תודה", "שלום"]
        assert len(talk.of(events.FillerSaid)) == 1
        [started] = talk.of(events.FirstSoundWritten)
        assert started.phrase is StockPhrase.APOLOGY
        [failed] = talk.of(events.AttemptFailed)
        assert (failed.part, failed.reason, failed.has_sound) == ("answerer", "stalled", False)
        assert talk.of(events.AttemptDropped) == []


async def test_an_answerer_that_fails_once_is_asked_once_more() -> None:
    answerer = answering("שלום", fails=1)
    async with talking(answerer) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(4)

        assert talk.words == ["שלום"]
        assert [event.part for event in talk.of(events.AttemptFailed)] == ["answerer"]


async def test_a_voice_that_breaks_off_ends_the_reply_with_what_was_said() -> None:
    async with talking(answering("שלום תודה. מחר בבוקר. היום"), voice=SlowVoice(fails_at=[1])) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(6)

        [ended] = talk.of(events.ReplySettled)
        assert ended.heard == "שלום תודה."
        assert [event.part for event in talk.of(events.AttemptFailed)] == ["voice"]


async def test_the_end_of_a_reply_knows_which_voices_have_spoken_it() -> None:
    voice = BehindVoice(SlowVoice(fails_at=(1,)), SlowVoice())
    async with talking(ScriptedAnswerer(lambda _: "שלום תודה. מחר בוקר."), voice=voice) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(6)
        (settled,) = talk.of(events.ReplySettled)

    assert (settled.heard, settled.voices) == ("שלום תודה. מחר בוקר.", ("", "slow"))


async def test_greets_and_asks_a_silent_caller_and_says_goodbye_and_hangs_up() -> None:
    settings = AgentSettings(thresholds=TurnThresholds(idle_ms=3000))
    async with talking(answering(), greeting="שלום בבקשה", settings=settings) as talk:
        await asyncio.sleep(3)
        assert talk.words == ["שלום", "בבקשה"]
        await asyncio.sleep(12)

        assert talk.words == ["שלום", "בבקשה", "איפה", "שלום", "תודה"]
        assert talk.hung_up


async def test_words_that_nobody_could_hear_are_asked_for_again() -> None:
    async with talking(answering()) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.stop()
        await asyncio.sleep(0.5)
        talk.final("", Source.NONE, unheard=True)
        await asyncio.sleep(2)
        assert talk.words == ["מה"]


async def test_without_a_budget_the_answerer_is_asked_at_the_end_of_speech() -> None:
    answerer = answering("שלום")
    async with talking(answerer, budget=0) as talk:
        await talk.say("מה מספר")
        assert answerer.asked == []
        await asyncio.sleep(3)
        assert talk.words == ["שלום"]
        [started] = talk.of(events.FirstSoundWritten)
        assert started.latency is not None
        assert started.latency.text >= 0.58


async def test_a_changed_prompt_is_the_next_turns_and_the_conversation_says_which_it_uses() -> None:
    answerer = answering("שלום תודה")
    now = AgentSettings(revision="1", prompt="old")
    async with talking(answerer, settings=lambda: now) as talk:
        await talk.say("מה מספר טלפון")
        talk.final("מה מספר טלפון")
        await asyncio.sleep(4)
        now = AgentSettings(revision="2", prompt="new")
        used_before = talk.conversation.reply_revision
        await talk.say("ומחר")
        talk.final("ומחר")
        await asyncio.sleep(4)

        assert [question.prompt for question in answerer.asked] == ["old", "new"]
        assert (used_before, talk.conversation.reply_revision) == ("1", "2")


async def test_a_sentence_that_is_said_again_after_noise_is_remembered_as_far_as_it_was_heard_at_all() -> None:
    async with talking(answerer := answering(ANSWER, word_s=0.0)) as talk:
        await talk.say("מה מספר טלפון")
        talk.final("מה מספר טלפון")
        while len(talk.words) < 7:
            await asyncio.sleep(0.05)
        talk.begin()
        await asyncio.sleep(0.4)
        talk.lasts()  # noise: the sentence is said again
        talk.stop(ago_s=0.1)
        heard_before = len(talk.words)
        talk.final("")
        while len(talk.words) < heard_before + 2:  # the sound that was cut off, and a word
            await asyncio.sleep(0.05)
        talk.begin()
        talk.interim("רגע")
        await asyncio.sleep(0.3)
        talk.stop(ago_s=0.1)
        talk.final("רגע")
        await asyncio.sleep(6)

    cut, cut_again = talk.of(events.ReplyCut)[:2]
    assert cut_again.heard == cut.heard
    assert len(cut.heard.split()) >= 7
    assert answerer.asked[1].history[1] == HistoryMessage(Role.AGENT, cut.heard)
