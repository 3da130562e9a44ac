"""Questions to other pods about a call that goes on here. Pods prove themselves by the auth token, which all have."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from batkol.answers import UNREADABLE, Answer
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.others import OtherPods, PodQuestion
from batkol.twilio import handover

LARGEST: Final = 512 << 10
"""Bytes of an answer: the history of a call is bounded to some sixty thousand characters."""

PATH: Final = "/v1/pod/conversations"
QUESTION_HEADER: Final = "x-batkol-pod"
ANSWER_HEADER: Final = "x-batkol-pod-seal"

log = structlog.get_logger()


class _Told(msgspec.Struct):
    stream: int
    conversation: msgspec.Raw = msgspec.Raw(b"null")


class PeerConversations:
    """The other pods, asked about one call at a time."""

    def __init__(self, others: OtherPods, keys: Sequence[str]) -> None:
        self._others = others
        self._keys = keys

    async def streams_of(self, call_sid: str, newest: int) -> list[bytes]:
        """Return what the pods answered in time; if one has stream `newest`, the others are not waited for.

        Raises nothing: a pod that cannot be asked, or whose answer is not sealed, tells nothing. Cancelling it closes
        the connections.
        """
        told: list[bytes] = []

        def is_enough(at: Endpoint, answer: Answer) -> bool:
            if (proven := self._proven(answer, at, call_sid)) is None:
                return False
            told.append(proven)
            return bool(newest) and _has(proven, newest)

        question = {QUESTION_HEADER: handover.question(self._keys, call_sid, time.time())}
        asked = await self._others.ask(PodQuestion("GET", f"{PATH}/{quote(call_sid, safe='')}", question), is_enough)
        if asked.timed_out:
            log.warning("[FLEET] a pod did not say in time what was said in a call so far", call_sid=call_sid)
        return told

    def _proven(self, answer: Answer, at: Endpoint, call_sid: str) -> bytes | None:
        if answer.status != HTTPStatus.OK or len(answer.body) > LARGEST:
            return None
        if not handover.is_answer(self._keys, call_sid, answer.body, answer.headers.get(ANSWER_HEADER, "")):
            log.warning(
                "[FLEET] answer of a pod about a call ignored: it is not sealed with this agent's auth token",
                pod=str(at),
                remedy="give all pods of the agent the same TWILIO_AUTH_TOKEN",
            )
            return None
        return answer.body


def _has(answer: bytes, stream: int) -> bool:
    try:
        told = msgspec.json.decode(answer, type=list[_Told])
    except UNREADABLE:
        return False
    return any(each.stream >= stream and bytes(each.conversation) != b"null" for each in told)
