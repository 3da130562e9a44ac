"""Whole turns in which the model calls tools: what is carried out when, what the caller hears, what is known after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from batkol.answering.answerer import AnswerPart, Question, Role, ToolCall, Usage
from batkol.conversation import events
from batkol.conversation.actions import StockPhrase
from batkol.conversation.agent import AgentSettings
from batkol.conversation.events import ToolOutcome
from batkol.conversation.history import ConversationSoFar
from batkol.conversation.limits import CallLimits
from batkol.conversation.tools.outcomes import MOVED, STILL_RUNNING
from batkol.conversation.tools.running import MOST_ROUNDS, NO_MORE, NOT_ENDED
from batkol.conversation.tools.turn_tools import REPEATED
from batkol.conversation.tools.webhook import ToolError, ToolRequest
from batkol.tools.definition import ToolDefinition
from support.agent.scripted import ScriptedAnswerer
from support.agent.talk import Talk, talking

pytestmark = pytest.mark.virtual_time

DAY = {"type": "object", "properties": {"day": {"type": "string", "enum": ["מחר", "היום"]}}, "required": ["day"]}
BOOK = ToolDefinition(
    name="book", url="http://tools/book", parameters=msgspec.Raw(msgspec.json.encode(DAY)), timeout_seconds=8
)
LOOK = ToolDefinition(name="look", url="http://tools/look", timeout_seconds=2)
SETTINGS = AgentSettings(
    tools=(BOOK, LOOK, ToolDefinition(name="hang_up"), ToolDefinition(name="transfer")),
    transfers={"sales": "+972541234567"},
    lead_fields={"name": "The caller's name", "seats": {"type": "integer"}},
)
CALL = ToolCall("c1", "book", '{"day": "מחר"}')
LOOKED = ToolCall("c2", "look", "{}")
HANG_UP = ToolCall("c3", "hang_up", "{}")
LEAD = ToolCall("c4", "save_lead", '{"name": "דנה", "seats": 2}')


class Posts:
    """The user's webhooks: each takes `takes_s`, and answers what `answer` says."""

    def __init__(self, takes_s: float = 0.1, answer: Callable[[ToolRequest], str] = lambda _: "נקבע") -> None:
        self.takes_s = takes_s
        self.answer = answer
        self.asked: list[tuple[float, ToolRequest]] = []
        self.ended = 0

    async def __call__(self, _: ToolDefinition, request: ToolRequest) -> str:
        self.asked.append((asyncio.get_running_loop().time(), request))
        await asyncio.sleep(self.takes_s)
        self.ended += 1
        return self.answer(request)


def answerer(*rounds: Sequence[AnswerPart] | str) -> ScriptedAnswerer:
    """An answerer whose first answer of a turn is the first of these, and so on with the results; the last repeats."""
    return ScriptedAnswerer(lambda question: rounds[min(rounds_of(question), len(rounds) - 1)])


def rounds_of(question: Question) -> int:
    return len(question.results)


async def asked(talk: Talk, text: str = "מה מספר", *, wait_s: float = 6) -> None:
    await talk.say(text)
    talk.final(text)
    await asyncio.sleep(wait_s)


def outcomes(talk: Talk) -> list[tuple[str, str]]:
    return [(event.name, event.outcome.value) for event in talk.of(events.ToolEnded)]


def phrases(talk: Talk) -> list[StockPhrase]:
    return [event.phrase for event in talk.of(events.FirstSoundWritten) if event.phrase is not None]


async def test_the_answer_goes_on_with_what_the_tool_gave_and_the_next_question_knows_it() -> None:
    posts, said = Posts(), answerer(["שלום תודה.", CALL, Usage(10, 2)], ["מחר היום.", Usage(20, 3)])
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)
        await asked(talk, "תודה רבה")
        heard = talk.words

    first, second, third = said.asked[0], said.asked[1], said.asked[2]
    assert heard[:4] == ["שלום", "תודה", "מחר", "היום"]
    assert [tool.name for tool in first.tools] == ["hang_up", "transfer", "save_lead", "book", "look"]
    assert (first.said, first.results) == ("", ())
    assert second.said == "שלום תודה."
    assert [(each.call, each.content) for each in second.results] == [(CALL, "נקבע")]
    assert [(each.role, each.text, each.results) for each in third.history] == [
        (Role.CALLER, "מה מספר", ()), (Role.AGENT, "שלום תודה. מחר היום.", second.results),
    ]  # fmt: skip
    assert third.results == ()
    (_, request), *_ = posts.asked
    assert (request.tool, request.arguments, request.turn) == ("book", {"day": "מחר"}, 1)
    assert (request.call_sid, request.id) == (talk.call.call_sid, f"{talk.call.stream_sid}-t1")
    settled = talk.of(events.ReplySettled)[0]
    assert (settled.prompt_tokens, settled.completion_tokens) == (30, 5)
    (ended, *_) = talk.of(events.ToolEnded)
    assert (ended.turn, ended.name, ended.arguments, ended.outcome) == (1, "book", CALL.arguments, ToolOutcome.DONE)
    assert 0.1 <= ended.took_s < 0.11


async def test_a_speculative_attempt_carries_nothing_out_before_the_turn_is_over() -> None:
    posts, said = Posts(), answerer([CALL], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.reaches("מה מספר")
        await asyncio.sleep(2)  # long enough for the answer, which calls the tool
        assert (len(said.asked), posts.asked) == (1, [])
        committed = asyncio.get_running_loop().time()
        talk.stop()
        talk.final("מה מספר")
        await asyncio.sleep(1)

    assert [at for at, _ in posts.asked] == [committed]


async def test_an_attempt_that_is_thrown_away_before_the_commit_carries_nothing_out() -> None:
    posts, said = Posts(), answerer([CALL], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.reaches("מה מספר")
        await asyncio.sleep(1)
        talk.goes_on()
        await asyncio.sleep(1)
        said._answer = lambda _: "תודה"
        talk.reaches("מה מספר הבית")
        await asyncio.sleep(0.5)
        talk.stop()
        await asyncio.sleep(3)

    assert (posts.asked, talk.of(events.ToolEnded)) == ([], [])
    assert len(talk.of(events.AttemptDropped)) == 1


async def test_speech_before_the_first_sound_holds_the_tools_until_it_was_none() -> None:
    posts, said = Posts(), answerer([CALL], "מחר")
    said._first_s = 0.6
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await talk.say("מה מספר")  # committed now, 0.33 s after the question
        talk.final("מה מספר")
        await asyncio.sleep(0.1)
        talk.begin()
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(3)

    assert [round(at - began, 2) for at, _ in posts.asked] == [0.35], "when the reply went on, and not as it was there"


async def test_an_interruption_without_words_holds_the_tools_until_the_reply_goes_on() -> None:
    posts = Posts()
    said = ScriptedAnswerer(
        lambda question: "" if question.results else ["שלום תודה. מחר היום מחר היום מחר היום", CALL], word_s=0.2
    )
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(0.9)
        talk.begin()
        await asyncio.sleep(0.4)
        talk.lasts()
        interrupted = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        talk.stop()
        await asyncio.sleep(4)

    assert len(talk.of(events.ReplyContinued)) == 1
    assert [round(at - interrupted, 1) for at, _ in posts.asked] == [1.2]


async def test_fillers_bridge_a_slow_tool_and_no_apology_comes_within_its_time() -> None:
    posts = Posts(takes_s=7)
    async with talking(answerer([CALL], "מחר"), settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=10)

    spoken_at = [event for event in talk.seen if isinstance(event, events.FillerSaid)]
    assert len(spoken_at) == 3  # at 1.5 s, at 3.5 s in the place of the apology, and 3.5 s later
    assert phrases(talk) == []
    assert outcomes(talk) == [("book", "done")]
    assert talk.words[-1] == "מחר"


async def test_fillers_bridge_a_slow_tool_behind_a_text_that_was_heard() -> None:
    posts = Posts(takes_s=6)
    async with talking(answerer(["שלום תודה.", CALL], "מחר"), settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=9)
        words = talk.words

    assert words == ["שלום", "תודה", "בבקשה", "בבקשה", "מחר"]  # the fillers are in the middle of the reply
    (settled,) = talk.of(events.ReplySettled)
    assert (settled.heard, settled.interrupted) == ("שלום תודה. מחר", False)


async def test_the_tokens_of_attempts_that_were_thrown_away_are_the_turns() -> None:
    said = answerer(["מחר", Usage(7, 1)])
    async with talking(said, settings=SETTINGS) as talk:
        talk.begin()
        await asyncio.sleep(1)
        talk.reaches("מה מספר")
        await asyncio.sleep(1)
        talk.goes_on()
        await asyncio.sleep(1)
        talk.reaches("מה מספר הבית")
        await asyncio.sleep(0.5)
        talk.stop()
        await asyncio.sleep(4)

    (settled,) = talk.of(events.ReplySettled)
    assert (len(said.asked), settled.prompt_tokens, settled.completion_tokens) == (2, 14, 2)


async def test_the_tokens_of_all_questions_of_a_call_count_to_its_limit() -> None:
    said = answerer([CALL, Usage(7, 1)], ["מחר", Usage(8, 2)])
    settings = replace(SETTINGS, limits=CallLimits(tokens=18))
    async with talking(said, settings=settings, post_tool=Posts()) as talk:
        await asked(talk, wait_s=0.5)
        talk.conversation.check_limits(1.0)
        assert not talk.conversation._turns.closing
        await asyncio.sleep(3)
        talk.conversation.check_limits(4.0)
        await asyncio.sleep(3)

    assert talk.reasons == ["tokens_spent"]


async def test_a_tool_that_hangs_is_given_up_at_its_own_time_and_the_model_is_told() -> None:
    posts, said = Posts(takes_s=1000), answerer([LOOKED], "תודה")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert outcomes(talk) == [("look", "too_slow")]
    assert "2 s" in said.asked[1].results[0].content
    assert talk.words[-1] == "תודה"
    assert phrases(talk) == []


async def test_after_a_tool_an_answerer_that_says_nothing_gets_the_apology_in_its_place() -> None:
    """The clock of the caller: 2 s after the result, which is what lies between the filler and the apology."""
    stuck = ScriptedAnswerer(lambda question: [LOOKED] if not question.results else "", word_s=0)
    posts = Posts(takes_s=1.9)
    async with talking(stuck, settings=SETTINGS, post_tool=posts) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        while not posts.ended:
            await asyncio.sleep(0.01)
        stuck._first_s = 100
        ended = asyncio.get_running_loop().time()
        while StockPhrase.APOLOGY not in phrases(talk):
            await asyncio.sleep(0.01)
        assert asyncio.get_running_loop().time() - ended < 2.1


async def test_the_same_call_twice_is_carried_out_once() -> None:
    posts = Posts()
    again = ToolCall("c9", "book", '{ "day":"מחר" }')
    said = answerer([CALL, again], "", "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert len(posts.asked) == 1
    assert outcomes(talk) == [("book", "done")]
    assert [each.content for each in said.asked[1].results] == ["נקבע", f"{REPEATED}נקבע"]


async def test_of_too_many_calls_and_too_long_arguments_the_model_learns_and_nothing_is_carried_out() -> None:
    many = [ToolCall("", "look", f'{{"n": {n}}}') for n in range(10)]
    long = ToolCall("", "book", f'{{"day": "{"x" * 20_000}"}}')
    rounds: dict[int, Sequence[AnswerPart]] = {0: many, 10: [long], 11: ["מחר"]}
    posts, said = Posts(), ScriptedAnswerer(lambda question: rounds[len(question.results)])
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert len(posts.asked) == 8
    assert [each.content.startswith("Refused") for each in said.asked[-1].results] == [False] * 8 + [True] * 3
    assert max(len(event.arguments) for event in talk.of(events.ToolEnded)) == 16 * 1024


async def test_several_tools_are_carried_out_at_the_same_time() -> None:
    posts, said = Posts(takes_s=1), answerer([CALL, LOOKED], "", "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert len({at for at, _ in posts.asked}) == 1
    assert [each.call for each in said.asked[1].results] == [CALL, LOOKED]


WRONG = [
    (ToolCall("", "book", '{"day": '), "not valid JSON"),
    (ToolCall("", "book", "[1]"), "no JSON object"),
    (ToolCall("", "book", '{"day": "אתמול"}'), "day is none of: מחר, היום"),
    (ToolCall("", "book", "{}"), "day is missing"),
    (ToolCall("", "cook", "{}"), "no tool of that name; there are: hang_up, transfer, save_lead, book, look"),
    (ToolCall("", "transfer", '{"label": "+972541234567"}'), "label is none of: sales"),
    (ToolCall("", "save_lead", '{"age": 7}'), "there are: name, seats"),
    (ToolCall("", "save_lead", "{}"), "fewer than 1 properties"),
]


@pytest.mark.parametrize(("call", "why"), WRONG, ids=[f"{call.name} {call.arguments}" for call, _ in WRONG])
async def test_wrong_arguments_are_told_to_the_model_and_not_carried_out(call: ToolCall, why: str) -> None:
    posts, said = Posts(), answerer([call], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert posts.asked == []
    assert why in said.asked[1].results[0].content
    assert outcomes(talk) == [("unknown" if call.name == "cook" else call.name, "refused")]
    assert talk.words[-1] == "מחר"
    assert not talk.hung_up


@pytest.mark.parametrize("broken", [ToolError("it is broken", reason="http_5xx", retryable=True), ZeroDivisionError()])
async def test_a_tool_that_fails_is_told_to_the_model_and_costs_nothing_else(broken: Exception) -> None:
    def fail(_: ToolRequest) -> str:
        raise broken

    said = answerer([CALL], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=Posts(answer=fail)) as talk:
        await asked(talk)

    assert outcomes(talk) == [("book", "failed")]
    assert said.asked[1].results[0].content.startswith("Failed: ")
    assert talk.words == ["מחר"]


async def test_a_webhook_that_refuses_is_a_line_with_what_to_do_which_the_model_does_not_get() -> None:
    def refuse(_: ToolRequest) -> str:
        raise ToolError("it answered HTTP 401", reason="http_4xx", retryable=False, remedy="Give it the secret.")

    said = answerer([CALL], "מחר")
    with capture_logs() as logs:
        async with talking(said, settings=SETTINGS, post_tool=Posts(answer=refuse)) as talk:
            await asked(talk)

    [line] = [each for each in logs if each["event"] == "[AGENT] tool failed"]
    assert (line["error"], line["remedy"]) == ("it answered HTTP 401", "Give it the secret.")
    assert said.asked[1].results[0].content == "Failed: it answered HTTP 401."


async def test_a_model_that_calls_tools_on_and_on_is_stopped_and_the_caller_hears_the_apology() -> None:
    count = 0

    def on_and_on(_: Question) -> list[AnswerPart]:
        nonlocal count
        count += 1
        return [ToolCall("", "look", msgspec.json.encode({"n": count}).decode())]

    said, posts = ScriptedAnswerer(on_and_on, first_s=0.05), Posts(takes_s=0.01)
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk)

    assert len(posts.asked) == MOST_ROUNDS
    assert NO_MORE in said.asked[MOST_ROUNDS + 1].results[-1].content
    assert len(said.asked) <= MOST_ROUNDS + 3  # the turn's second attempt is stopped at once
    assert phrases(talk) == [StockPhrase.APOLOGY]


async def test_what_was_begun_when_the_caller_interrupts_is_finished_and_known_to_the_next_question() -> None:
    posts = Posts(takes_s=3)
    said = ScriptedAnswerer(
        lambda question: "תודה" if "רגע" in question.text or question.results else ["שלום תודה רבה מאוד.", CALL]
    )
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(1.0)
        talk.begin()
        await asyncio.sleep(0.2)
        talk.reaches("רגע עצור")
        await asyncio.sleep(0.33)
        talk.stop()
        talk.final("רגע עצור")
        await asyncio.sleep(4)
        await asked(talk, "רגע תודה")

    assert len(posts.asked) == posts.ended == 1
    assert outcomes(talk) == [("book", "done")]
    during, after = said.asked[-2], said.asked[-1]
    assert [each.content for each in during.history[1].results] == [STILL_RUNNING]
    assert [each.content for each in after.history[1].results] == ["נקבע"]


async def test_words_before_the_first_sound_join_the_turn_whose_tools_are_known_to_its_next_attempt() -> None:
    posts = Posts(takes_s=0.5)
    said = answerer([CALL], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await talk.say("מה מספר")
        await asyncio.sleep(0.6)  # the tool is carried out, and the answer is not heard yet
        talk.begin()
        await asyncio.sleep(0.3)
        talk.reaches("הבית שלי")
        await asyncio.sleep(0.33)
        talk.stop()
        talk.final("הבית שלי")
        await asyncio.sleep(4)

    last = said.asked[-1]
    assert last.text == "מה מספר הבית שלי"
    assert [each.call for each in last.results] == [CALL]
    assert len(posts.asked) == 1


async def test_the_end_of_the_call_cancels_what_is_carried_out_and_says_so() -> None:
    posts = Posts(takes_s=5)
    async with talking(answerer([CALL], "מחר"), settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=0.7)
        assert len(posts.asked) == 1

    assert (posts.ended, outcomes(talk)) == (0, [("book", "cancelled")])


async def test_the_models_own_goodbye_is_heard_to_its_end_and_then_the_call_ends() -> None:
    async with talking(answerer(["שלום תודה. מחר היום.", LEAD, HANG_UP]), settings=SETTINGS) as talk:
        await asked(talk)
        heard = talk.words

    assert heard == ["שלום", "תודה", "מחר", "היום"]
    assert talk.hung_up
    assert phrases(talk) == []
    assert outcomes(talk) == [("save_lead", "done"), ("hang_up", "done")]


async def test_a_model_that_hangs_up_without_a_word_has_one_goodbye_said() -> None:
    said = answerer([HANG_UP])
    async with talking(said, settings=SETTINGS) as talk:
        await asked(talk)

    assert talk.hung_up
    assert phrases(talk) == [StockPhrase.GOODBYE]
    assert len(said.asked) == 1
    assert talk.of(events.AttemptFailed) == []


async def test_a_transfer_names_a_label_and_no_number_is_in_the_models_view() -> None:
    said = answerer(["רגע בבקשה.", ToolCall("", "transfer", '{"label": "sales"}')])
    async with talking(said, settings=SETTINGS) as talk:
        await asked(talk)

    assert talk.transfers == ["sales"]
    assert not talk.hung_up
    assert b"9725412" not in msgspec.json.encode(said.asked)


async def test_the_call_does_not_end_while_what_was_to_be_saved_is_not() -> None:
    wrong = ToolCall("", "save_lead", '{"seats": "two"}')
    said = answerer(["שלום.", wrong, HANG_UP], "", ["", LEAD, HANG_UP])
    async with talking(said, settings=SETTINGS) as talk:
        await asked(talk)

    assert [each.content for each in said.asked[1].results][1] == NOT_ENDED
    assert outcomes(talk) == [
        ("save_lead", "refused"), ("hang_up", "refused"), ("save_lead", "done"), ("hang_up", "done"),
    ]  # fmt: skip
    assert talk.hung_up


@pytest.mark.parametrize("settings", [AgentSettings(), AgentSettings(tools=(ToolDefinition(name="transfer"),))])
async def test_an_agent_without_tools_offers_none(settings: Any) -> None:
    said = answerer("מחר")
    async with talking(said, settings=settings) as talk:
        await asked(talk, wait_s=0.7)

    assert said.asked[0].tools == ()


@pytest.mark.parametrize("fails", [True, False], ids=["refused", "empty"])
async def test_of_a_tool_whose_result_is_never_spoken_the_caller_hears_an_apology(*, fails: bool) -> None:
    """ "One moment" was heard, the tool is done, and then the answerer has nothing more."""

    class Once(ScriptedAnswerer):
        def ends(self, question: Question) -> Sequence[AnswerPart]:
            self.fails = int(fails and not question.results)  # the next question fails
            return () if question.results else ("שלום.", LOOKED)

    said = Once(lambda _: "")
    said._answer = said.ends
    async with talking(said, settings=SETTINGS, post_tool=Posts(0.5)) as talk:
        await asked(talk, wait_s=8)

        assert phrases(talk) == [StockPhrase.APOLOGY]
        assert talk.words[:1] == ["שלום"]
        assert outcomes(talk) == [("look", "done")]


async def test_words_that_come_before_the_call_is_ended_leave_nothing_that_waits_for_ever() -> None:
    """The first answer calls a slow tool and `hang_up`; the caller goes on; the next answer hangs up, too."""
    slow = msgspec.structs.replace(LOOK, timeout_seconds=8)
    settings = replace(SETTINGS, tools=(slow, ToolDefinition(name="hang_up")))
    said = ScriptedAnswerer(lambda question: (HANG_UP,) if question.results else (LOOKED, HANG_UP))
    async with talking(said, settings=settings, post_tool=Posts(4)) as talk:
        await talk.say("מה מספר")
        talk.final("מה מספר")
        await asyncio.sleep(0.6)
        await asked(talk, "רגע לא היום", wait_s=20)

        assert talk.hung_up
        assert ("hang_up", "refused") in outcomes(talk)
        assert ("hang_up", "done") in outcomes(talk)


async def test_what_was_carried_out_before_a_call_moved_is_known_to_the_next_stream_and_not_carried_out_again() -> None:
    posts, stalls = Posts(), ScriptedAnswerer(lambda _: [CALL, LEAD], then_s=60.0)
    async with talking(stalls, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=0.7)
        assert not talk.conversation.carries_out
        told = talk.conversation.so_far(over=True)
        assert talk.words == [], "the model has the results, and has said nothing about them"

    assert told.unanswered == "מה מספר"
    assert [each.call for each in told.done] == [CALL, LEAD]
    assert msgspec.json.decode(msgspec.json.encode(told), type=ConversationSoFar).bounded() == told

    again, said = (
        Posts(),
        ScriptedAnswerer(lambda question: [CALL, LOOKED] if len(question.results) == 2 else ["שלום."]),
    )
    async with talking(said, settings=SETTINGS, post_tool=again, earlier=told) as talk:
        await asyncio.sleep(6)
        heard = talk.words

    assert said.asked[0].results == told.done
    assert heard[-1] == "שלום", "perhaps behind the filler, which comes when it would have come"
    assert [request.tool for _, request in (*posts.asked, *again.asked)] == ["book", "look"]


async def test_a_tool_that_is_carried_out_is_worth_waiting_for_when_the_call_is_to_move() -> None:
    posts, said = Posts(takes_s=2.0), ScriptedAnswerer(lambda _: [CALL])
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=0.7)
        assert talk.conversation.carries_out
        talk.conversation.wind_down(5.0)
        await asyncio.sleep(2)
        told = talk.conversation.so_far(over=True)

    assert not talk.conversation.carries_out
    assert (told.unanswered, [each.content for each in told.done]) == ("מה מספר", ["נקבע"])


async def test_so_is_a_tool_of_a_reply_that_is_heard_already_and_the_next_stream_has_its_result() -> None:
    posts, said = Posts(takes_s=2.0), answerer(["בבקשה.", CALL], "מחר")
    async with talking(said, settings=SETTINGS, post_tool=posts) as talk:
        await asked(talk, wait_s=1.5)
        assert (talk.words, talk.conversation.carries_out) == (["בבקשה"], True)
        before = talk.conversation.so_far(over=False)
        talk.conversation.wind_down(5.0)
        await asyncio.sleep(2)
        assert not talk.conversation.carries_out
        told = talk.conversation.so_far(over=True)

    assert [each.content for each in before.messages[-1].results] == [STILL_RUNNING]
    assert [each.content for each in told.messages[-1].results] == ["נקבע"]
    for earlier, result in ((before, MOVED), (told, "נקבע")):
        async with talking(said, settings=SETTINGS, earlier=earlier) as talk:
            await asked(talk, wait_s=1)
        assert [each.content for each in said.asked[-1].history[-1].results] == [result]
