"""News for the other pods that a call has ended, before Twilio asks one of them what is to follow.

Where a service closes a stream to hang up, Twilio asks the voice webhook for the next TwiML, on any pod and at once.
A pod that has the news answers with a hang-up, even if the pod that ended the call is gone by then (ADR 0032).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import structlog

from batkol.fleet.others import OtherPods, PodQuestion
from batkol.twilio import handover

PATH: Final = "/v1/pod/ends"
PROOF_HEADER: Final = "x-batkol-pod"

log = structlog.get_logger()


class PeerEnds:
    """The other pods, which get the news of one end at a time."""

    def __init__(self, others: OtherPods, keys: Sequence[str]) -> None:
        self._others = others
        self._keys = keys

    async def announce(self, call_sid: str) -> bool:
        """Announce to every other pod that this call was ended here; return whether each of them knows.

        Raises nothing: a pod without the news asks when Twilio asks it. Cancelling it closes the connections.
        """
        proof = {PROOF_HEADER: handover.end_notice(self._keys, call_sid, time.time())}
        asked = await self._others.ask(PodQuestion("PUT", f"{PATH}/{quote(call_sid, safe='')}", proof))
        if asked.are_all and all(answer.status == HTTPStatus.NO_CONTENT for _, answer in asked.answers):
            return True
        log.warning(
            "[FLEET] a pod did not take the news of a call's end in time; it asks this pod when Twilio asks it",
            call_sid=call_sid,
        )
        return False
