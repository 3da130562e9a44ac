"""News for the other pods that a call has ended, before Twilio asks one of them what is to follow.

Where a service closes a stream to hang up, Twilio asks the voice webhook for the next TwiML, on any pod and at once.
A pod that has the news answers with a hang-up, even if the pod that ended the call is gone by then (ADR 0032).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog

from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.peers import FleetRequest, HttpPods, PodRequestError
from batkol.twilio import handover

WITHIN_S: Final = 0.3
"""Seconds for all pods together, the look-up of their addresses included: the caller hears nothing so long."""

PATH: Final = "/v1/pod/ends"
PROOF_HEADER: Final = "x-batkol-pod"

log = structlog.get_logger()


class PeerEnds:
    """The other pods, which get the news of one end at a time."""

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

    async def tell(self, call_sid: str) -> bool:
        """Tell every other pod that this call was ended here; return whether each of them knows.

        Raises nothing: a pod without the news asks when Twilio asks it. Cancelling it closes the connections.
        """
        tasks: list[asyncio.Task[bool]] = []
        try:
            async with asyncio.timeout(self._within_s):
                others = [at for at in (await self._addresses.current()).addresses if at != self._own()]
                tasks = [asyncio.create_task(self._tell(at, call_sid), name="fleet.tell") for at in others]
                if all(await asyncio.gather(*tasks)):
                    return True
        except TimeoutError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        log.warning(
            "[FLEET] a pod did not take the news of a call's end in time; it asks this pod when Twilio asks it",
            call_sid=call_sid,
        )
        return False

    async def _tell(self, at: Endpoint, call_sid: str) -> bool:
        headers = {PROOF_HEADER: handover.end_notice(self._keys, call_sid, time.time())}
        path = f"{PATH}/{quote(call_sid, safe='')}"
        try:
            answer = await self._pods.ask(at, FleetRequest(""), "PUT", path, headers=headers, within_s=self._within_s)
        except PodRequestError:
            return False
        return answer.status == HTTPStatus.NO_CONTENT
