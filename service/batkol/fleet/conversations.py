"""Questions to other pods about a call that goes on here. Pods prove themselves by the auth token, which all have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import msgspec
import structlog

from batkol.answers import UNREADABLE, Answer
from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.peers import FleetRequest, HttpPods, PodRequestError
from batkol.twilio import handover

WITHIN_S: Final = 0.3
"""Seconds for all pods together, the look-up of their addresses included."""

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

    def __init__(
        self,
        pods: HttpPods,
        addresses: Addresses,
        own: Callable[[], Endpoint],
        keys: Sequence[str],
        within_s: float = WITHIN_S,
    ) -> None:
        self._pods = pods
        self._addresses = addresses
        self._own = own
        self._keys = keys
        self._within_s = within_s

    async def streams_of(self, call_sid: str, newest: int) -> list[bytes]:
        """Return what the pods answered in time; if one has stream `newest`, the others are not waited for.

        Raises nothing: a pod that cannot be asked, or whose answer is not sealed, tells nothing. Cancelling it closes
        the connections.
        """
        told: list[bytes] = []
        tasks: list[asyncio.Task[bytes | None]] = []
        try:
            async with asyncio.timeout(self._within_s):
                others = [at for at in (await self._addresses.current()).addresses if at != self._own()]
                tasks = [asyncio.create_task(self._ask(at, call_sid), name="fleet.ask") for at in others]
                for each in asyncio.as_completed(tasks):
                    if (answer := await each) is not None:
                        told.append(answer)
                        if newest and _has(answer, newest):
                            break
        except TimeoutError:
            log.warning("[FLEET] a pod did not say in time what was said in a call so far", call_sid=call_sid)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return told

    async def _ask(self, at: Endpoint, call_sid: str) -> bytes | None:
        headers = {QUESTION_HEADER: handover.question(self._keys, call_sid, time.time())}
        path = f"{PATH}/{quote(call_sid, safe='')}"
        try:
            answer = await self._pods.ask(at, FleetRequest(""), "GET", path, headers=headers, within_s=self._within_s)
        except PodRequestError:
            return None
        return self._proven(answer, at, call_sid)

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
