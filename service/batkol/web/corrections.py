"""The route of corrections: what was said in an utterance, written beside what a recognizer heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, HTTPException, Path, Request
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.journal.record import LONGEST_NAME, bounded
from batkol.store.postgres import queries
from batkol.store.postgres.corrections import LARGEST_INDEX, UtteranceKey, correct
from batkol.store.postgres.reading import rows
from batkol.web.access import Access, CurrentReader, Right, guard
from batkol.web.change_bodies import described, read_change
from batkol.web.schemas import PROBLEM, CorrectionChange, UtteranceOut

_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    404: {**PROBLEM, "description": "The utterance does not exist, or its caller was erased."},
    413: {**PROBLEM, "description": "The body is too large."},
}

CallSid = Annotated[str, Path(max_length=LONGEST_NAME, examples=["CA5f0e8d3c2b1a49788796a5b4c3d2e1f0"])]
StreamSid = Annotated[str, Path(max_length=LONGEST_NAME, examples=["MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
Index = Annotated[int, Path(ge=0, le=LARGEST_INDEX, examples=[3])]

log = structlog.get_logger()


def add_corrections(router: APIRouter, engine: Callable[[], AsyncEngine], access: Access) -> None:
    """Add the route to those of the history, whose guard it has."""

    @router.put(
        "/history/calls/{call_sid}/utterances/{stream_sid}/{index}/correction",
        tags=["history"],
        dependencies=[Depends(guard(access, Right.TEXTS))],
        openapi_extra=described(CorrectionChange),
        responses=_ANSWERS,
    )
    async def correct_utterance(
        call_sid: CallSid, stream_sid: StreamSid, index: Index, request: Request, reader: CurrentReader
    ) -> UtteranceOut:
        """Write what was said in an utterance, or remove that with null. The recorded texts do not change.

        The name of the token and the time are kept with it.
        """
        to = engine()
        change = await read_change(request, CorrectionChange)
        key = UtteranceKey(bounded(call_sid, LONGEST_NAME), bounded(stream_sid, LONGEST_NAME), index)
        if not await correct(to, key, change.text, reader.name):
            raise HTTPException(
                404, "There is no such utterance of a call: check the SIDs and the index. An erased call has none."
            )
        log.info(
            "[API] utterance corrected",
            token=reader.name,
            call_sid=key.call_sid,
            stream_sid=key.stream_sid,
            utterance=key.index,
            removed=change.text is None,
        )
        found = await rows(to, queries.one_utterance(key.call_sid, key.stream_sid, key.index))
        if not found:
            raise HTTPException(404, "The utterance was deleted meanwhile.")
        return UtteranceOut.model_validate(dict(found[0]))
