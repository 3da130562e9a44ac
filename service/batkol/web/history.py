"""History API: calls in pages, one call with its utterances, corrections of them, leads, exports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from sqlalchemy import RowMapping, Select
from sqlalchemy.ext.asyncio import AsyncEngine

from batkol.store.journal.record import LONGEST_NAME, bounded
from batkol.store.postgres import queries
from batkol.store.postgres.conversation_queries import conversation_of
from batkol.store.postgres.queries import CallFilter
from batkol.store.postgres.reading import rows
from batkol.store.postgres.reply_queries import all_replies, all_tool_calls, replies_of, tool_calls_of
from batkol.store.store import NoStore, Store
from batkol.web.access import Access, CurrentReader, Right, guard
from batkol.web.change_bodies import described, read_change
from batkol.web.corrections import add_corrections
from batkol.web.errors import ErrorMappingRoute, refuse_repeated
from batkol.web.export import Export, ExportFile, ExportSlots, Form
from batkol.web.history_filters import CallPageQuery, CallQuery, LeadPageQuery, LeadQuery
from batkol.web.history_redaction import check_call_filter, check_number, shown
from batkol.web.paging import BadCursorError, Key, cursor_of, position_of
from batkol.web.reply_schemas import ConversationEntry, ReplyOut, ToolCallOut
from batkol.web.schemas import (
    PROBLEM,
    CallDetails,
    CallOut,
    CallPage,
    LeadChange,
    LeadOut,
    LeadPage,
    UtteranceOut,
)

MOST: Final = 5000
"""Entries of each list that are shown of one call: some four hours of talking without a pause."""

_NO_STORE: Final = (
    "This service stores no calls: it runs with STORE=none. To have a history, set DATABASE_URL and remove STORE."
)
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    401: {**PROBLEM, "description": "The request has no valid token."},
    403: {
        **PROBLEM,
        "description": "The token does not have the right `leads`; or `numbers` or `texts`, for a filter by them.",
    },
    409: {**PROBLEM, "description": "The service stores no calls (`STORE=none`)."},
    422: {**PROBLEM, "description": "A parameter or the body is not valid; `detail` says why."},
    503: {
        **PROBLEM,
        "description": "The database is down, slow or busy.",
        "headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}},
    },
}
_ABSENT: Final[dict[int | str, dict[str, Any]]] = {404: {**PROBLEM, "description": "The call or lead does not exist."}}
_EXPORTED: Final = {
    Form.CSV: "agent,caller_number,…\r\nreception,+972541234567,…\r\n",
    Form.JSONL: '{"agent":"reception","caller_number":"+972541234567",…}\n',
}

CallSid = Annotated[str, Path(max_length=LONGEST_NAME, examples=["CA5f0e8d3c2b1a49788796a5b4c3d2e1f0"])]
LeadId = Annotated[int, Path(ge=1, le=2**63 - 1, examples=[17])]


def routes(*, store: Store | NoStore, access: Access) -> APIRouter:
    """Return the routes of the history. Each checks the token first, and then whether the service stores calls."""

    def engine() -> AsyncEngine:
        if isinstance(store, NoStore):
            raise HTTPException(409, _NO_STORE)
        return store.database.reading

    first = [Depends(guard(access, Right.LEADS)), Depends(refuse_repeated)]
    router = APIRouter(prefix="/v1", route_class=ErrorMappingRoute, responses=_REFUSALS, dependencies=first)
    _calls(router, engine)
    add_corrections(router, engine, access)
    _leads(router, engine)
    _exports(router, engine)
    return router


Engine = Callable[[], AsyncEngine]


def _calls(router: APIRouter, engine: Engine) -> None:
    @router.get("/history/calls", tags=["history"])
    async def read_calls(asked: Annotated[CallPageQuery, Query()], reader: CurrentReader) -> CallPage:
        """List the calls that match the filter, newest first, in pages."""
        check_call_filter(asked.number, asked.words, reader)
        after = _place(asked.cursor, str)
        found = await rows(engine(), queries.page_of_calls(asked.to_filter(), after, asked.limit + 1))
        page, rest = _page(found, asked.limit, "started_at", "call_sid")
        return CallPage(calls=[CallOut.model_validate(shown(row, reader)) for row in page], next=rest)

    @router.get("/history/calls/{call_sid}", tags=["history"], responses=_ABSENT)
    async def read_call(call_sid: CallSid, reader: CurrentReader) -> CallDetails:
        """Get one call with what was said and done in it."""
        sid = bounded(call_sid, LONGEST_NAME)
        found = await rows(engine(), queries.one_call(sid))
        if not found:
            raise HTTPException(
                404,
                "There is no call with this SID: the call never reached this service, or is older than the retention "
                "time.",
            )
        parts = [
            await rows(engine(), wanted(sid, MOST + 1))
            for wanted in (queries.utterances_of, replies_of, tool_calls_of, conversation_of)
        ]
        texts, replies, tool_calls, conversation = ([shown(row, reader) for row in part[:MOST]] for part in parts)
        return CallDetails(
            call=CallOut.model_validate(shown(found[0], reader)),
            utterances=[UtteranceOut.model_validate(each) for each in texts],
            replies=[ReplyOut.model_validate(each) for each in replies],
            tool_calls=[ToolCallOut.model_validate(each) for each in tool_calls],
            conversation=[ConversationEntry.model_validate(each) for each in conversation],
            complete=all(len(part) <= MOST for part in parts),
        )


def _leads(router: APIRouter, engine: Engine) -> None:
    @router.get("/leads", tags=["leads"])
    async def read_leads(asked: Annotated[LeadPageQuery, Query()], reader: CurrentReader) -> LeadPage:
        """List the leads: numbers that called an agent, the newest call first."""
        check_number(asked.number, reader)
        after = _place(asked.cursor, int)
        wanted = queries.page_of_leads(asked.agent, asked.number, after, asked.limit + 1)
        page, rest = _page(await rows(engine(), wanted), asked.limit, "last_call_at", "id")
        return LeadPage(leads=[LeadOut.model_validate(shown(row, reader)) for row in page], next=rest)

    @router.patch(
        "/leads/{lead_id}",
        tags=["leads"],
        openapi_extra=described(LeadChange),
        responses={**_ABSENT, 413: {**PROBLEM, "description": "The body is too large."}},
    )
    async def change_lead(lead_id: LeadId, request: Request, reader: CurrentReader) -> LeadOut:
        """Change the name, the notes or the summary of a lead; an absent field stays, null clears the field."""
        to = engine()
        changes = (await read_change(request, LeadChange)).model_dump(exclude_unset=True)
        found = await rows(to, queries.change_lead(lead_id, changes) if changes else queries.one_lead(lead_id))
        if not found:
            raise HTTPException(404, "There is no lead with this id: the lead never existed, or was erased.")
        return LeadOut.model_validate(shown(found[0], reader))


def _exports(router: APIRouter, engine: Engine) -> None:
    turns = ExportSlots()
    for form in Form:
        _exports_as(form, router, engine, turns)


def _exports_as(form: Form, router: APIRouter, engine: Engine, turns: ExportSlots) -> None:
    content = {form.media_type.partition(";")[0]: {"schema": {"type": "string"}, "example": _EXPORTED[form]}}
    exported: dict[str, Any] = {
        "response_class": Export,
        "responses": {200: {"content": content}},
        "tags": ["exports"],
        "status_code": 200,
    }

    def of_calls(name: str, wanted: Callable[[CallFilter], Select[Any]], what: str) -> None:
        @router.get(f"/history/{name}.{form}", **exported, name=f"export_{name}_{form}", description=what)
        async def export(asked: Annotated[CallQuery, Query()], reader: CurrentReader) -> Export:
            check_call_filter(asked.number, asked.words, reader)
            return Export(engine(), wanted(asked.to_filter()), ExportFile(name, form, reader), turns)

    of_the_calls = "of the calls that match the filter, newest call first."
    of_calls("calls", queries.all_calls, "Export all calls that match the filter, newest first.")
    of_calls("utterances", queries.all_utterances, f"Export all utterances {of_the_calls}")
    of_calls("replies", all_replies, f"Export all replies {of_the_calls}")
    of_calls("tool_calls", all_tool_calls, f"Export all calls of tools {of_the_calls}")

    @router.get(f"/leads.{form}", **exported, name=f"export_leads_{form}")
    async def export_leads(asked: Annotated[LeadQuery, Query()], reader: CurrentReader) -> Export:
        """Export all leads that match the filter."""
        check_number(asked.number, reader)
        return Export(engine(), queries.all_leads(asked.agent, asked.number), ExportFile("leads", form, reader), turns)


def _page(found: Sequence[RowMapping], limit: int, at: str, key: str) -> tuple[Sequence[RowMapping], str | None]:
    """Split the rows of a page from one row more, which shows that there is another page."""
    shown = found[:limit]
    return shown, cursor_of(shown[-1][at], shown[-1][key]) if len(found) > limit else None


def _place(token: str | None, kind: type[Key]) -> queries.PagePosition | None:
    try:
        return None if token is None else position_of(token, kind)
    except BadCursorError:
        raise HTTPException(
            422, "cursor: this API did not issue the cursor; send `next` of the page before, unchanged."
        ) from None
