"""The route `PUT /v1/pod/ends/{call_sid}`: another pod has ended this call, and Twilio may ask this one about it.

For pods alone: they prove themselves by the auth token that all of them have, and no token of a client opens it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from fastapi import APIRouter, HTTPException, Request

from batkol.fleet.ends import PATH, PROOF_HEADER
from batkol.twilio import handover


def routes(note: Callable[[str], None], keys: Sequence[str]) -> APIRouter:
    """Return the route. `keys` are the auth tokens; `note` takes the SID of the call."""
    router = APIRouter(include_in_schema=False)

    @router.put(f"{PATH}/{{call_sid}}", status_code=204)
    async def note_end(call_sid: str, request: Request) -> None:
        if not handover.is_end_notice(keys, call_sid, request.headers.get(PROOF_HEADER, ""), time.time()):
            raise HTTPException(403, "Only a pod of the same agent may say this. Use POST /v1/calls/{call_sid}/hangup.")
        note(call_sid)

    return router
