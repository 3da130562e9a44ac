"""Live calls over HTTP: all of them, or one with what was said in it.

A snapshot is made in one piece, with the cursor of that moment: the event feed from that cursor has every change that
the snapshot does not show, and no other. A call whose `call.ended` is out is over, even while its socket closes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Response
from pydantic import Field

from batkol.calls.call import Call
from batkol.calls.figures import UtteranceProgress
from batkol.calls.registry import CallRegistry
from batkol.calls.reply_progress import ReplyProgress, latency_parts
from batkol.events.bus import Bus
from batkol.web.access import Access, CurrentReader, Reader, Right, guard
from batkol.web.described import answer, problem
from batkol.web.errors import ErrorMappingRoute
from batkol.web.live_schemas import (
    CallSnapshot,
    CallsSnapshot,
    LiveDetails,
    LiveReply,
    LiveStream,
    LiveTentative,
    LiveUtterance,
)
from batkol.web.schemas import KeptText, StrictModel
from batkol.web.scope import Scope


class LiveCallsQuery(StrictModel):
    scope: Scope = "pod"
    agent: list[KeptText] = Field(
        [], description="Only calls of these agents; may be repeated.", examples=[["reception"]]
    )


class LiveCallQuery(StrictModel):
    """Whose calls. An unknown parameter is refused."""

    scope: Scope = "pod"


def _nobody_answers(_: str) -> bool:
    return False


def routes(
    *, calls: CallRegistry, bus: Bus, access: Access, answers: Callable[[str], bool] = _nobody_answers
) -> APIRouter:
    """Return the routes of the live calls. `answers`: whether the agent would answer in the call with that SID."""
    may_read = [Depends(guard(access, Right.STATUS))]
    router = APIRouter(prefix="/v1", route_class=ErrorMappingRoute, dependencies=may_read, tags=["calls"])

    @router.head("/calls", include_in_schema=False)
    @router.get("/calls", responses=answer(CallsSnapshot))
    async def read_calls(asked: Annotated[LiveCallsQuery, Query()], reader: CurrentReader) -> Response:
        """List the live calls."""
        return _json(all_calls(calls, bus, reader, frozenset(asked.agent)))

    @router.head("/calls/{call_sid}", include_in_schema=False)
    @router.get("/calls/{call_sid}", responses={**answer(CallSnapshot), **problem(404, "The call is not live here.")})
    async def read_call(call_sid: str, _: Annotated[LiveCallQuery, Query()], reader: CurrentReader) -> Response:
        """Get one live call with what was said in it."""
        snapshot = one_call(calls, bus, reader, call_sid)
        if snapshot is None:
            raise HTTPException(404, NOT_LIVE)
        return _json(msgspec.structs.replace(snapshot, agent_replies=answers(call_sid)))

    return router


NOT_LIVE = "There is no live call with this SID; this API has live calls only."


def all_calls(calls: CallRegistry, bus: Bus, reader: Reader, agents: frozenset[str] = frozenset()) -> CallsSnapshot:
    """Return the snapshot of all calls, or of those of some agents. Nothing happens while it is made."""
    shown = [
        LiveStream(**_stream(call, reader))
        for call in calls
        if not call.reporter.ended and (not agents or call.identity.agent in agents)
    ]
    return CallsSnapshot(cursor=str(bus.ring.cursor), calls=shown)


def one_call(calls: CallRegistry, bus: Bus, reader: Reader, call_sid: str) -> CallSnapshot | None:
    """Return the snapshot of one call; None if it is over or not here. Nothing happens while it is made."""
    streams = [call for call in calls if call.identity.call_sid == call_sid and not call.reporter.ended]
    if not streams:
        return None
    *earlier, newest = sorted(streams, key=lambda call: call.started_at)
    return CallSnapshot(
        **_details(newest, reader),
        cursor=str(bus.ring.cursor),
        earlier_streams=[LiveDetails(**_details(call, reader)) for call in earlier],
    )


def _stream(call: Call, reader: Reader) -> dict[str, Any]:
    figures, identity = call.reporter.figures, call.identity
    sees_numbers = Right.NUMBERS in reader.may
    return {
        "call_sid": identity.call_sid,
        "stream_sid": identity.stream_sid,
        "stream": identity.stream,
        "agent": identity.agent,
        "direction": identity.direction,
        "from_": identity.from_ if sees_numbers else "",
        "to": identity.to if sees_numbers else "",
        "parameters": identity.parameters if sees_numbers else {},
        "seq": call.reporter.seq,
        "ending": bool(call.ended_by),
        "started_at": _iso(time.time() - call.age),
        "duration_s": round(call.age, 3),
        "audio_ms": call.audio.ms,
        "streaming": call.transcription.session_open,
        "recognizer": call.transcription.recognizer,
        "sessions": figures.sessions,
        "utterances_total": figures.utterances,
        "partials": figures.partials,
        "finals": dict(figures.finals),
        "fallbacks": dict(figures.fallbacks),
        "gap_ms": call.audio.gap_ms,
        "rotations": figures.rotations,
        "reconnects": figures.reconnects,
        "audio_dropped_ms": figures.audio_dropped_ms,
    }


def _details(call: Call, reader: Reader) -> dict[str, Any]:
    words = _Words(Right.TEXTS in reader.may)
    utterances, replies = call.reporter.utterances, call.reporter.replies.history.replies
    return {
        **_stream(call, reader),
        "utterances": [words.utterance(call, index, said) for index, said in utterances.items()],
        "replies": [words.reply(reply_id, reply) for reply_id, reply in replies.items()],
    }


class _Words:
    """Utterances and replies for one reader: each text is empty if it may not read texts."""

    def __init__(self, readable: bool) -> None:
        self._readable = readable

    def utterance(self, call: Call, index: int, said: UtteranceProgress) -> LiveUtterance:
        tentative = said.tentative and LiveTentative(number=said.tentative[0], text=self._text(said.tentative[1]))
        return LiveUtterance(
            index=index,
            utterance_id=f"{call.identity.call_sid}-{index}",
            begin_ms=said.begin_ms,
            speech_ms=said.speech_ms,
            end_ms=said.end_ms,
            mode=said.mode,
            flag_variant=said.flag_variant,
            flag_reason=said.flag_reason,
            partials=said.partials,
            first_partial_ms=said.first_partial_ms,
            latency_ms=said.latency_ms,
            text=self._text(said.text),
            final=said.final,
            source=said.source,
            recognizer=said.recognizer,
            revised=None if said.revised is None else self._text(said.revised),
            unvoiced=said.unvoiced,
            unconfirmed=said.unconfirmed,
            tentative=tentative,
            trace_id=said.trace_id,
        )

    def reply(self, reply_id: str, reply: ReplyProgress) -> LiveReply:
        return LiveReply(
            reply_id=reply_id,
            turn=reply.turn,
            phrase=reply.phrase,
            sentences=[self._text(reply.sentences[index]) for index in sorted(reply.sentences)],
            intended=None if reply.intended is None else self._text(reply.intended),
            heard=None if reply.heard is None else self._text(reply.heard),
            interrupted=reply.interrupted,
            ended=reply.ended,
            **latency_parts(reply.latency),
            failed=reply.failed,
        )

    def _text(self, text: str) -> str:
        return text if self._readable else ""


def _json(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
