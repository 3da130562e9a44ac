from typing import Any

import pytest

from batkol.calls.call import Call
from batkol.conversation import events as turns
from batkol.conversation.actions import StockPhrase
from batkol.events.cursor import Cursor
from batkol.rights import ALL_RIGHTS, Grant, Right
from batkol.speech.tentative import WithdrawalReason
from batkol.speech.utterance import Mode, Source, Utterance, UtteranceState
from batkol.transcription.events import (
    FinalReady,
    PartialReady,
    RevisionReady,
    SpeechStopped,
    Tentative,
    UtteranceOpened,
    Withdrawn,
)
from batkol.web.access import Access
from support.http.internal_api import inside

LATENCY = turns.ReplyLatency(total=0.8, text=0.2, first_token=0.2, first_piece=0.1, first_sound=0.2, commit=0.1)


def utterance(**more: Any) -> Utterance:
    return Utterance(index=0, begin=8000, speech_at=10_400, mode=Mode.STREAMING, **more)


def end(call: Call) -> None:
    call.reporter.call_ended(reason="stop", duration_s=1.0, gap_ms=0, close_code=1000)


async def test_a_snapshot_has_the_cursor_of_its_moment_and_each_call_its_number() -> None:
    async with inside() as house:
        ring = house.bus.ring
        assert (await house.http.get("/v1/calls")).json() == {"cursor": str(Cursor(ring.boot, 0)), "calls": []}
        one, two = house.admitted(), house.admitted()
        one.reporter.call_started(streaming=True)
        one.reporter.key_pressed("1")
        two.reporter.call_started(streaming=True)
        shown = (await house.http.get("/v1/calls")).json()
        alone = (await house.http.get(f"/v1/calls/{one.identity.call_sid}")).json()

        assert shown["cursor"] == alone["cursor"] == str(Cursor(ring.boot, 3))
        assert [call["seq"] for call in shown["calls"]] == [2, 1]
        assert alone["seq"] == 2


async def test_a_call_without_an_event_has_number_0_and_one_whose_last_event_is_out_is_not_listed() -> None:
    async with inside() as house:
        call = house.admitted()
        assert (await house.http.get("/v1/calls")).json()["calls"][0]["seq"] == 0
        call.reporter.call_started(streaming=True)
        end(call)

        assert (await house.http.get("/v1/calls")).json()["calls"] == []


async def test_numbers_and_texts_are_for_the_tokens_that_may_see_them() -> None:
    rights = {
        "all": ALL_RIGHTS,
        "reader": frozenset({Right.STATUS, Right.TEXTS}),
        "switchboard": frozenset({Right.STATUS, Right.NUMBERS}),
    }
    async with inside(access=Access([Grant(name, name, may) for name, may in rights.items()])) as house:
        call = house.admitted_for("sales", from_="+972541234567", to="+97231234567", parameters={"crm": "17"})
        done = utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL)
        call.reporter.observe(FinalReady(done, "שלום"))
        call.reporter.observe(RevisionReady(done, "שלום לך"))
        call.reporter.observe(Tentative(Utterance(1, 24_000, 24_000, Mode.STREAMING), 1, "להתראות", 30_000))
        call.reporter.replies.observe(turns.SentenceBegan("r1", 1, 0, "ברוכים הבאים", 0))
        call.reporter.replies.observe(turns.ReplySettled("r1", 1, "ברוכים הבאים", "ברוכים", interrupted=True))
        seen = {}
        for name, may in rights.items():
            headers = {"Authorization": f"Bearer {name}"}
            answer = await house.http.get(f"/v1/calls/{call.identity.call_sid}", headers=headers)
            texts = ("שלום", "שלום לך", "להתראות", "ברוכים הבאים", "ברוכים")
            assert {f'"{text}"' in answer.text for text in texts} == {Right.TEXTS in may}
            one = answer.json()
            (listed,) = (await house.http.get("/v1/calls", headers=headers)).json()["calls"]
            assert {name: one[name] for name in listed if name != "duration_s"} == {
                name: value for name, value in listed.items() if name != "duration_s"
            } | {"started_at": one["started_at"]}
            seen[name] = one["from"], one["to"], one["parameters"], one["utterances"][0]["text"]

        numbers = "+972541234567", "+97231234567", {"crm": "17"}
        assert seen == {"all": (*numbers, "שלום"), "reader": ("", "", {}, "שלום"), "switchboard": (*numbers, "")}


async def test_calls_are_listed_by_agent() -> None:
    async with inside() as house:
        for agent in ("sales", "reception", "sales"):
            house.admitted_for(agent)
        counts = [
            len((await house.http.get(f"/v1/calls{query}")).json()["calls"])
            for query in ("", "?agent=sales", "?agent=sales&agent=reception", "?agent=nobody")
        ]

        assert counts == [3, 2, 3, 0]


async def test_an_utterance_is_shown_as_its_events_told_it() -> None:
    async with inside() as house:
        call = house.admitted()
        path = f"/v1/calls/{call.identity.call_sid}"
        observe = call.reporter.observe

        async def shown(*names: str) -> list[Any]:
            (only,) = (await house.http.get(path)).json()["utterances"]
            assert (only["index"], only["utterance_id"]) == (0, f"{call.identity.call_sid}-0")
            return [only[name] for name in names]

        observe(UtteranceOpened(utterance(), None))
        observe(PartialReady(utterance(), "אני", 0.5))
        assert await shown("text", "final", "partials", "tentative", "end_ms") == ["אני", False, 1, None, None]
        observe(Tentative(utterance(), 1, "אני רוצה", 16_000))
        assert await shown("tentative") == [{"number": 1, "text": "אני רוצה"}]
        observe(Withdrawn(utterance(), 1, WithdrawalReason.SPEECH))
        assert await shown("tentative") == [None]
        observe(Tentative(utterance(), 2, "אני רוצה תור", 16_000))
        observe(SpeechStopped(utterance(end=24_000)))
        assert await shown("end_ms", "final") == [3000, False]
        done = utterance(state=UtteranceState.DONE, end=24_000, source=Source.FINAL, voiced=False)
        observe(FinalReady(done, "אני רוצה תור.", confirms=2))
        assert await shown("text", "final", "tentative", "unvoiced", "unconfirmed") == [
            "אני רוצה תור.", True, None, True, False
        ]  # fmt: skip
        observe(RevisionReady(done, "אני רוצה תור"))
        assert await shown("text", "revised", "unconfirmed") == ["אני רוצה תור.", "אני רוצה תור", False]


async def test_the_agents_replies_are_shown_with_what_was_heard_of_them() -> None:
    async with inside() as house:
        call = house.admitted()
        observe = call.reporter.replies.observe

        async def shown() -> list[dict[str, Any]]:
            replies: list[dict[str, Any]] = (await house.http.get(f"/v1/calls/{call.identity.call_sid}")).json()[
                "replies"
            ]
            return replies

        assert await shown() == []
        observe(turns.FirstSoundWritten("r1", 1, 1, StockPhrase.GREETING, None))
        observe(turns.ReplySettled("r1", 1, "שלום", "שלום", interrupted=False))
        observe(turns.FirstSoundWritten("r2", 2, 2, None, LATENCY))
        observe(turns.SentenceBegan("r2", 2, 0, "יש תור ביום שני.", 0))
        observe(turns.SentenceBegan("r2", 2, 1, "מתאים?", 1200))
        greeting, reply = await shown()
        assert (greeting["phrase"], greeting["heard"], greeting["ended"]) == ("greeting", "שלום", True)
        assert reply == {
            "reply_id": "r2", "turn": 2, "phrase": None, "sentences": ["יש תור ביום שני.", "מתאים?"], "intended": None,
            "heard": None, "interrupted": False, "ended": False, "failed": None, "latency_ms": 800.0,
            "text_ms": 200.0, "first_token_ms": 200.0, "first_piece_ms": 100.0, "first_sound_ms": 200.0,
            "commit_ms": 100.0,
        }  # fmt: skip
        observe(turns.ReplyCut("r2", 2, "יש תור"))
        assert [(r["heard"], r["interrupted"]) for r in await shown()] == [("שלום", False), ("יש תור", True)]
        observe(turns.ReplyContinued("r2", 2, 0))
        assert [(r["heard"], r["interrupted"]) for r in await shown()] == [("שלום", False), (None, False)]
        observe(turns.AttemptFailed(2, "voice", "timeout", "r2", 2))
        observe(turns.ReplySettled("r2", 2, "יש תור ביום שני. מתאים?", "יש תור ביום", interrupted=True))
        last = (await shown())[-1]
        assert (last["intended"], last["heard"], last["interrupted"], last["ended"], last["failed"]) == (
            "יש תור ביום שני. מתאים?", "יש תור ביום", True, True, "voice"
        )  # fmt: skip


async def test_an_attempt_that_nobody_heard_is_no_reply() -> None:
    async with inside() as house:
        call = house.admitted()
        call.reporter.replies.observe(turns.AttemptFailed(1, "answerer", "timeout"))
        call.reporter.replies.observe(turns.AttemptFailed(1, "budget", "spent", "r1", 1))

        assert (await house.http.get(f"/v1/calls/{call.identity.call_sid}")).json()["replies"] == []


async def test_an_earlier_stream_is_shown_until_its_last_event_is_out() -> None:
    async with inside() as house:
        older = house.admitted()
        older.reporter.observe(UtteranceOpened(utterance(), None))
        newer = house.admitted(older.identity.call_sid)
        newer.reporter.call_started(streaming=True)
        path = f"/v1/calls/{newer.identity.call_sid}"
        shown = (await house.http.get(path)).json()
        (earlier,) = shown["earlier_streams"]

        assert (shown["stream_sid"], shown["utterances"]) == (newer.identity.stream_sid, [])
        assert (earlier["stream_sid"], earlier["seq"]) == (older.identity.stream_sid, 1)
        assert len(earlier["utterances"]) == 1
        end(older)
        assert (await house.http.get(path)).json()["earlier_streams"] == []


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/{sid}"])
async def test_head_answers_as_get_without_the_body(path: str) -> None:
    async with inside() as house:
        answer = await house.http.head(path.format(sid=house.admitted().identity.call_sid))

        assert (answer.status_code, answer.content) == (200, b"")
