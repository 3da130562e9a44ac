"""Announcements over the real playout to the caller's ear, in virtual time: each is heard in its turn and ends once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

import pytest

from batkol.answering.answerer import HistoryMessage, Role
from batkol.conversation import events
from batkol.conversation.actions import Unsaid
from batkol.conversation.agent import Speakers
from batkol.conversation.announcements import MOST, MOST_MARKS, MOST_WAITING, LineClosedError, LineFullError
from batkol.voices.marked.voice import say
from batkol.voices.voice import VoiceError, VoiceSound
from support.agent.scripted import ScriptedAnswerer, SlowVoice
from support.agent.talk import Talk, talking
from support.time.virtual import in_virtual_time
from support.twilio.far_ear import SID

pytestmark = pytest.mark.virtual_time

TABLE = "שלום אני רוצה"
SECOND = "מחר היום"


class OneBadReply:
    """The slow voice; of its first reply there is an error instead."""

    name = "one bad reply"

    def __init__(self, error: Exception) -> None:
        self._errors = [error]
        self._voice = SlowVoice()

    async def speak(self, pieces: AsyncIterator[str]) -> AsyncGenerator[VoiceSound, None]:
        """See `Voice`."""
        if self._errors:
            raise self._errors.pop()
        async with aclosing(self._voice.speak(pieces)) as sounds:
            async for sound in sounds:
                yield sound

    async def aclose(self) -> None:
        """See `Voice`."""


def answering(text: str = "שלום תודה") -> ScriptedAnswerer:
    return ScriptedAnswerer(lambda _: text)


def ended(talk: Talk, reply_id: str) -> events.ReplySettled:
    [end] = talk.ends_of(reply_id)
    assert isinstance(end, events.ReplySettled)
    return end


@pytest.mark.parametrize("answerer", [answering(), None], ids=["with an answerer", "without"])
async def test_what_the_api_says_is_heard_and_told_of_under_its_id(answerer: ScriptedAnswerer | None) -> None:
    async with talking(answerer) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        assert (first, second) == (f"{SID}-a1", f"{SID}-a2")
        await asyncio.sleep(5)

        assert talk.words == [*TABLE.split(), *SECOND.split()]
        told = [type(event) for event in talk.seen if getattr(event, "reply_id", "") == first]
        assert told == [events.FirstSoundWritten, events.SentenceBegan, events.ReplySettled]
        assert ended(talk, first).heard == ended(talk, first).intended == TABLE
        assert ended(talk, second).turn == 2
        started = talk.of(events.FirstSoundWritten)[0]
        assert (started.phrase, started.latency, started.announced) == (None, None, True)


async def test_a_recording_is_played_as_it_is_and_its_words_are_known() -> None:
    async with talking(None) as talk:
        sound = say(TABLE.split()).mulaw
        reply_id = talk.api.play(sound, TABLE)
        wordless = talk.api.play(say(SECOND.split()).mulaw)
        await asyncio.sleep(6)

        assert talk.words == [*TABLE.split(), *SECOND.split()]
        assert ended(talk, reply_id).heard == TABLE
        assert ended(talk, wordless).heard == ended(talk, wordless).intended == ""


async def test_the_caller_interrupts_and_hears_neither_the_rest_nor_what_waited() -> None:
    async with talking(None) as talk:
        first, second = talk.api.say("שלום אני רוצה לקבוע פגישה מחר היום תודה"), talk.api.say("רופא")
        await asyncio.sleep(1.5)
        talk.begin()
        await asyncio.sleep(0.4)
        talk.lasts()
        talk.interim("בעצם אני")
        heard_then = talk.words
        await asyncio.sleep(3)

        assert len(talk.words) <= len(heard_then) + 1
        assert "רופא" not in talk.words
        end = ended(talk, first)
        assert (end.interrupted, end.intended) == (True, "שלום אני רוצה לקבוע פגישה מחר היום תודה")
        assert end.intended.startswith(end.heard)
        assert 0 < len(end.heard) < len(end.intended)
        assert talk.ends_of(second) == [events.AnnouncementUnsaid(second, Unsaid.INTERRUPTED)]


async def test_a_caller_who_goes_on_speaking_is_heard_out_also_while_the_line_was_at_rest() -> None:
    async with talking(None) as talk:
        talk.begin()
        for count in range(1, 30):
            talk.interim(" ".join(["אני"] * count))
            if count == 25:
                talk.api.say(TABLE)  # after five seconds of speech
            await asyncio.sleep(0.2)
        assert talk.words == []
        talk.stop()
        await asyncio.sleep(2)
        assert talk.words == TABLE.split()


async def test_noise_that_interrupts_costs_a_pause_and_nothing_is_lost() -> None:
    async with talking(None) as talk:
        first, second = talk.api.say("שלום אני רוצה לקבוע פגישה מחר"), talk.api.say("רופא")
        await asyncio.sleep(1.0)
        talk.begin()
        await asyncio.sleep(0.4)
        talk.lasts()
        await asyncio.sleep(0.3)
        talk.stop()
        await asyncio.sleep(9)

        assert len(talk.of(events.ReplyCut)) == len(talk.of(events.ReplyContinued)) == 1
        assert not ended(talk, first).interrupted
        assert ended(talk, second).heard == "רופא"
        assert talk.words[-1] == "רופא"


async def test_the_answerer_knows_what_the_api_said_and_what_of_it_was_heard() -> None:
    answerer = answering()
    async with talking(answerer) as talk:
        talk.api.say(TABLE)
        await asyncio.sleep(3)
        await talk.say("כמה")
        talk.final("כמה")
        await asyncio.sleep(3)

    assert answerer.asked[-1].history == (HistoryMessage(Role.AGENT, TABLE),)
    assert answerer.asked[-1].turn == 2


async def test_an_urgent_announcement_answers_the_caller_in_the_place_of_the_answerer() -> None:
    answerer = ScriptedAnswerer(lambda _: "תודה", first_s=2.0)
    async with talking(answerer) as talk:
        await talk.say("כמה")
        talk.final("כמה")
        talk.api.say(TABLE, urgent=True)
        await asyncio.sleep(4)
        assert talk.words == TABLE.split()
        assert answerer.cancelled == 1
        await talk.say("מה")
        await asyncio.sleep(1)

    assert answerer.asked[-1].history == (HistoryMessage(Role.CALLER, "כמה"), HistoryMessage(Role.AGENT, TABLE))


async def test_clear_silences_the_ear_and_says_how_much_was_heard() -> None:
    async with talking(None) as talk:
        assert talk.conversation.clear() == 0
        first, second = talk.api.say("שלום אני רוצה לקבוע פגישה מחר"), talk.api.say("רופא")
        await asyncio.sleep(2.0)
        heard_ms = talk.conversation.clear()
        words = talk.words
        await asyncio.sleep(3)

        assert 1700 < heard_ms <= 1850, "the voice takes 150 ms"
        assert len(talk.words) <= len(words) + 1
        assert ended(talk, first).heard.split() == words[: len(ended(talk, first).heard.split())]
        assert ended(talk, first).interrupted
        assert talk.ends_of(second) == [events.AnnouncementUnsaid(second, Unsaid.CLEARED)]
        third = talk.api.say("תודה")
        await asyncio.sleep(2)
        assert ended(talk, third).heard == "תודה"


async def test_a_voice_that_gives_no_sound_fails_the_announcement_and_the_next_one_is_said() -> None:
    async with talking(
        None, voice=OneBadReply(VoiceError("the voice fails", reason="refused", retryable=True))
    ) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        await asyncio.sleep(4)

        [end] = talk.ends_of(first)
        assert isinstance(end, events.AttemptFailed)
        assert (end.part, end.reason, end.announced) == ("voice", "refused", True)
        assert ended(talk, second).heard == SECOND
        assert talk.words == SECOND.split()


async def test_a_voice_that_breaks_off_ends_the_announcement_once_with_what_was_heard() -> None:
    async with talking(None, voice=SlowVoice(fails_at=[1])) as talk:
        reply_id = talk.api.say("שלום אני רוצה. מחר היום.")
        await asyncio.sleep(4)

        end = ended(talk, reply_id)
        assert (end.heard, end.intended) == ("שלום אני רוצה.", "שלום אני רוצה. מחר היום.")
        assert (end.fault, end.interrupted) == ("voice: scripted", False)


async def test_a_mark_comes_back_behind_all_that_was_accepted_before_it() -> None:
    async with talking(None) as talk:
        talk.api.mark("at once")
        await asyncio.sleep(0.1)
        assert talk.ear.marks == ["at once"]
        talk.api.say(TABLE)
        talk.api.say(SECOND)
        talk.api.mark("behind both")
        await asyncio.sleep(2.0)
        assert talk.ear.marks == ["at once"]
        while len(talk.of(events.ReplySettled)) < 2:
            assert talk.ear.marks == ["at once"]
            written = talk.ear.described
            await asyncio.sleep(0.02)
        assert written[-1] == "behind both", "it is written with the sound before it"
        await asyncio.sleep(0.1)
        assert talk.ear.marks == ["at once", "behind both"]
        assert talk.words == [*TABLE.split(), *SECOND.split()]


async def test_a_mark_behind_what_is_dropped_comes_back() -> None:
    async with talking(None) as talk:
        talk.api.say(TABLE)
        talk.api.say(SECOND)
        talk.api.mark("dropped")
        await asyncio.sleep(1.0)
        talk.conversation.clear()
        await asyncio.sleep(0.2)
        assert talk.ear.marks == ["dropped"]


async def test_a_mark_behind_what_the_voice_does_not_speak_comes_back() -> None:
    async with talking(None, voice=SlowVoice(fails_at=[0])) as talk:
        talk.api.say(TABLE)
        talk.api.mark("unsaid")
        await asyncio.sleep(0.5)
        assert talk.ear.marks == ["unsaid"]


async def test_a_mark_in_the_middle_of_an_answer_waits_for_its_end() -> None:
    async with talking(ScriptedAnswerer(lambda _: "שלום. תודה.", word_s=0.9)) as talk:
        await talk.say("כמה")
        talk.final("כמה")
        while not talk.of(events.FirstSoundWritten):
            await asyncio.sleep(0.01)
        talk.api.mark("behind the answer")
        await asyncio.sleep(4)
        assert talk.words == ["שלום", "תודה"]
        assert talk.ear.marks == ["behind the answer"]
        assert talk.ear.described[-1] == "behind the answer"


async def test_no_more_waits_than_a_call_may_hold() -> None:
    async with talking(None) as talk:
        for _ in range(MOST):
            talk.api.say("שלום")
        with pytest.raises(LineFullError):
            talk.api.say("שלום")
        talk.api.say("שלום", urgent=True)
        await asyncio.sleep(0)
        assert len(talk.of(events.AnnouncementUnsaid)) == MOST
        talk.api.play(bytes(MOST_WAITING))
        with pytest.raises(LineFullError):
            talk.api.play(b"\xff")


async def test_no_more_marks_are_on_their_way_than_a_call_may_have() -> None:
    async with talking(None) as talk:
        talk.api.say("שלום")  # its voice is asked: these wait behind it
        for number in range(MOST_MARKS):
            talk.api.mark(str(number))
        with pytest.raises(LineFullError, match="marks"):
            talk.api.mark("one more")
        while len(talk.ear.marks) < MOST_MARKS:
            await asyncio.sleep(0.1)
        talk.api.mark("one more")
        await asyncio.sleep(1)
        assert talk.ear.marks[-1] == "one more"
        assert talk.line.marks == 0


async def test_a_call_that_is_about_to_end_takes_nothing_and_fails_what_waits() -> None:
    async with talking(None) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        await asyncio.sleep(1.0)
        talk.conversation.wind_down(10.0)
        with pytest.raises(LineClosedError):
            talk.api.say(SECOND)
        with pytest.raises(LineClosedError):
            talk.conversation.clear()
        await asyncio.sleep(3)
        assert ended(talk, first).heard == TABLE, "what is said goes on"
        assert talk.ends_of(second) == [events.AnnouncementUnsaid(second, Unsaid.CLOSING)]


async def test_what_is_silenced_before_its_first_sound_is_sent_was_not_said() -> None:
    async with talking(None) as talk:
        reply_id = talk.api.play(say(SECOND.split()).mulaw)
        talk.api.mark("unsaid")
        while talk.line.queued_to == talk.line.written:
            await asyncio.sleep(0)
        assert talk.conversation.clear() == 0
        await asyncio.sleep(2)
        assert talk.ends_of(reply_id) == [events.AnnouncementUnsaid(reply_id, Unsaid.INTERRUPTED)]
        assert (talk.words, talk.ear.marks) == ([], ["unsaid"])


async def test_a_greeting_is_of_the_agents_own() -> None:
    async with talking(None, greeting="שלום") as talk:
        await asyncio.sleep(3)
        assert talk.words == []


async def test_a_defect_between_two_steps_ends_what_was_to_be_said() -> None:
    async with talking(ScriptedAnswerer(lambda _: "תודה", first_s=2.0)) as talk:

        def broken(event: events.ConversationEvent) -> None:
            if type(event) is events.AttemptDropped:
                object.__setattr__(talk.call, "observe", talk.seen.append)
                raise RuntimeError("a defect")
            talk.seen.append(event)

        await talk.say("כמה")
        talk.final("כמה")
        object.__setattr__(talk.call, "observe", broken)
        lost = talk.api.say(TABLE, urgent=True)  # when it sounds, the answer is dropped, and that fails
        await asyncio.sleep(1)
        assert talk.ends_of(lost) == [events.AnnouncementUnsaid(lost, Unsaid.DEFECT)]
        await asyncio.sleep(2)
        again = talk.api.say(TABLE)
        await asyncio.sleep(3)
        assert ended(talk, again).heard == TABLE, "the conversation has survived it"


@pytest.mark.parametrize(
    ("answerer", "fails_at"), [(None, []), (None, [0]), (answering(), [0])], ids=["played", "no sound", "no answer"]
)
async def test_a_defect_as_something_is_over_does_not_hold_up_what_comes_after_it(
    answerer: ScriptedAnswerer | None, fails_at: list[int]
) -> None:
    speakers = [Speakers(answerer, SlowVoice(fails_at=fails_at))]
    async with talking(answerer, voice=SlowVoice(), speakers_of=lambda _: speakers[0]) as talk:

        def broken(event: events.ConversationEvent) -> None:
            talk.seen.append(event)
            if type(event) in {events.ReplySettled, events.AttemptFailed}:
                object.__setattr__(talk.call, "observe", talk.seen.append)
                raise RuntimeError("a defect")

        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        object.__setattr__(talk.call, "observe", broken)
        if answerer is None:
            first = talk.api.say(TABLE)
        else:
            await talk.say("כמה")
            talk.final("כמה")
        await asyncio.sleep(10)
        speakers[0] = Speakers(answerer, SlowVoice())
        second = talk.api.say("תודה")
        await asyncio.sleep(3)
        assert ended(talk, second).heard == "תודה"
        assert answerer is not None or len(talk.ends_of(first)) == 1


async def test_a_defect_of_the_line_at_a_clear_costs_no_announcement_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async with talking(None) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        await asyncio.sleep(1)
        clear = talk.line.clear

        def broken() -> int:
            monkeypatch.setattr(talk.line, "clear", clear)
            raise RuntimeError("a defect")

        monkeypatch.setattr(talk.line, "clear", broken)
        talk.conversation.clear()
        await asyncio.sleep(0.1)
        assert ended(talk, first).interrupted
        assert len(talk.ends_of(second)) == 1
        third = talk.api.say("תודה")
        await asyncio.sleep(2)
        assert ended(talk, third).heard == "תודה", "the conversation has survived it"


async def test_the_end_of_the_call_ends_each_announcement_once() -> None:
    async with talking(None) as talk:
        ids = [talk.api.say(text) for text in (TABLE, SECOND, "תודה")]
        await asyncio.sleep(0.9)
        last = talk.api.say("רופא")  # not even the turn table knows of it

    assert ended(talk, ids[0]).interrupted
    for each in (*ids[1:], last):
        assert talk.ends_of(each) == [events.AnnouncementUnsaid(each, Unsaid.CLOSING)]
    with pytest.raises(LineClosedError):
        talk.api.say(TABLE)


async def test_a_defect_as_the_call_ends_costs_no_other_announcement_its_end() -> None:
    async with talking(None) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        await asyncio.sleep(0.9)

        def broken(event: events.ConversationEvent) -> None:
            talk.seen.append(event)
            if type(event) is events.ReplySettled:
                raise RuntimeError("a defect")

        object.__setattr__(talk.call, "observe", broken)

    assert ended(talk, first).interrupted
    assert talk.ends_of(second) == [events.AnnouncementUnsaid(second, Unsaid.CLOSING)]


async def test_a_defect_ends_each_announcement_once_and_the_line_goes_on() -> None:
    async with talking(None, voice=OneBadReply(RuntimeError("a defect"))) as talk:
        first, second = talk.api.say(TABLE), talk.api.say(SECOND)
        await asyncio.sleep(1)
        for each in (first, second):
            assert talk.ends_of(each) == [events.AnnouncementUnsaid(each, Unsaid.DEFECT)]
        third = talk.api.say("תודה")
        await asyncio.sleep(2)
        assert ended(talk, third).heard == "תודה"


def at_random(talk: Talk, draw: random.Random) -> list[str]:
    """Let the API or the caller do something; return the id of what was announced."""
    match draw.choice(["say", "say", "say", "urgent", "play", "clear", "mark", "begin"] + 5 * ["speech"]):
        case "say":
            return [talk.api.say(draw.choice([TABLE, SECOND, f"{TABLE}. {SECOND}."]))]
        case "urgent":
            return [talk.api.say("רופא", urgent=True)]
        case "play":
            return [talk.api.play(say(SECOND.split()).mulaw, SECOND)]
        case "clear":
            talk.conversation.clear()
        case "mark":
            talk.api.mark("mark")
        case "begin":
            talk.begin()
        case _ if hasattr(talk, "utterance"):
            text = draw.choice(["כן", "אני רוצה", ""])
            happen: Callable[[], None] = draw.choice(
                [lambda: talk.interim(text), talk.lasts, talk.stop, lambda: talk.final(text)]
            )
            happen()
    return []


async def wild(seed: int) -> dict[str, int]:
    """Drive the line at random while the caller speaks at random; return how many ends each announcement had."""
    draw = random.Random(seed)
    answerer = draw.choice([None, answering("שלום אני רוצה. תודה.")])
    ids: list[str] = []
    fails_at = [] if answerer else draw.choice([[], [], [0], [1]])  # with an answerer it speaks the phrases, too
    async with talking(answerer, voice=SlowVoice(fails_at=fails_at)) as talk:
        for _ in range(14):
            ids += at_random(talk, draw)
            await asyncio.sleep(draw.choice([0.0, 0.01, 0.05, 0.3, 1.3, 3.0]))
        if draw.random() < 0.5:
            await asyncio.sleep(60)
    return {each: len(talk.ends_of(each)) for each in ids}


@pytest.mark.parametrize("seed", [*range(10), *(pytest.param(n, marks=pytest.mark.nightly) for n in range(10, 400))])
async def test_whatever_the_caller_and_the_api_do_each_announcement_ends_once(seed: int) -> None:
    ends = await wild(seed)
    assert ends == dict.fromkeys(ends, 1)


@pytest.mark.parametrize("seed", range(3))
def test_each_announcement_ends_once_also_in_disorder(seed: int) -> None:
    ends = in_virtual_time(wild(seed), disorder=random.Random(seed), late_s=0.05)
    assert ends == dict.fromkeys(ends, 1)
