"""The route `GET /v1/pod/conversations/{call_sid}`: a conversation, for the pod that has the next stream of its call.

For pods alone: they prove themselves by the auth token that all of them have, and no token of a client opens it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec
import structlog
from fastapi import APIRouter, HTTPException, Request, Response

from batkol.calls.handovers import Handovers
from batkol.fleet.conversations import ANSWER_HEADER, PATH, QUESTION_HEADER
from batkol.twilio import handover

log = structlog.get_logger()


def routes(handovers: Handovers, keys: Sequence[str]) -> APIRouter:
    """Return the route. `keys` are the auth tokens."""
    router = APIRouter(include_in_schema=False)

    @router.get(f"{PATH}/{{call_sid}}")
    async def read_conversation(call_sid: str, request: Request) -> Response:
        if not handover.is_question(keys, call_sid, request.headers.get(QUESTION_HEADER, ""), time.time()):
            raise HTTPException(403, "Only a pod of the same agent may ask this. Ask /v1/calls/{call_sid}.")
        known = handovers.of(call_sid)
        if any(each.conversation is not None for each in known):
            log.info("[AGENT] conversation handed over to another pod", call_sid=call_sid)
        body = msgspec.json.encode(known)
        return Response(body, 200, {ANSWER_HEADER: handover.seal_answer(keys, call_sid, body)}, "application/json")

    return router
