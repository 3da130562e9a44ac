"""The event feed over HTTP: the events of all calls or of one, as server-sent events, from now on or from a cursor."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from pydantic import AfterValidator, Field

from batkol.calls.call import Call
from batkol.calls.registry import CallRegistry
from batkol.events.bus import Bus
from batkol.events.cursor import Cursor, MalformedCursorError
from batkol.events.filter import EVENT_TYPES, EventFilter
from batkol.web.accept import accepts
from batkol.web.access import Access, CurrentReader, Right, guard
from batkol.web.errors import ErrorMappingRoute
from batkol.web.event_stream import MEDIA_TYPE, TIMINGS, EventStream, EventStreamTimings, FeedRequest
from batkol.web.live_calls import NOT_LIVE
from batkol.web.schemas import PROBLEM, KeptText, StrictModel
from batkol.web.scope import Scope

_MALFORMED: Final = (
    "The last event ID is not a cursor of this API. Send the `id` of the last server-sent event, or `cursor` of a "
    "snapshot, unchanged; or send none, to follow from now on. A cursor of `?scope=fleet` needs `?scope=fleet` again."
)
_NOT_KEPT: Final = "There is no live call with this SID, and its last events are no longer kept. The history has calls."

_EXAMPLE: Final = (
    ": listening\nretry: 2000\nid: 9c1f5b7e02a4d863-17\n\n"
    'id: 9c1f5b7e02a4d863-18\nevent: dtmf\ndata: {"type":"dtmf","digit":"5",…}\n\n'
)
_STREAM: Final[dict[str, Any]] = {
    "response_class": EventStream,
    "status_code": 200,
    "responses": {
        200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}},
        400: {**PROBLEM, "description": "The last event ID is not a cursor of this API."},
        406: {**PROBLEM, "description": "`Accept` excludes event streams."},
        422: {**PROBLEM, "description": "A parameter is unknown or not valid; `detail` says why."},
    },
}
_OF_ONE_CALL: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "The call is over, and the client has all of its events."},
    404: {**PROBLEM, "description": "The call is not live, and none of its events is kept."},
}


def _types(given: list[str]) -> list[str]:
    """Split the names of types, which may stand in one parameter or in several."""
    names = [name.strip() for each in given for name in each.split(",")]
    if not EVENT_TYPES.keys() >= set(names):
        raise ValueError(f"no event has such a type; the types are {', '.join(EVENT_TYPES)}")
    return names


class EventQuery(StrictModel):
    """Parameters of a stream of events."""

    scope: Scope = "pod"

    agent: list[KeptText] = Field(
        [], description="Only events of calls of these agents; may be repeated.", examples=[["reception"]]
    )
    type: Annotated[list[str], AfterValidator(_types)] = Field(
        [],
        description="Only events of these types: separated by commas, or repeated. `gap` always comes.",
        examples=[["final,call.ended"]],
    )
    last_event_id: str = Field(
        "", description="As the header `Last-Event-ID`, for clients that cannot send it. The header has precedence."
    )

    @property
    def only(self) -> EventFilter:
        """The filter of the subscription."""
        return EventFilter(frozenset(self.agent), frozenset(EVENT_TYPES[name] for name in self.type))


LastEventId = Annotated[
    str,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event, or `cursor` of a snapshot: the stream continues behind it.",
    ),
]


def routes(*, calls: CallRegistry, bus: Bus, access: Access, timings: EventStreamTimings = TIMINGS) -> APIRouter:
    """Return the routes of the event feed."""
    may_read = [Depends(guard(access, Right.STATUS)), Depends(_check_accept)]
    router = APIRouter(prefix="/v1", route_class=ErrorMappingRoute, dependencies=may_read, tags=["events"])

    @router.head("/events", include_in_schema=False)
    @router.get("/events", **_STREAM)
    async def follow_all(
        asked: Annotated[EventQuery, Query()], reader: CurrentReader, last_event_id: LastEventId = ""
    ) -> Response:
        """Follow all calls."""
        cursor = _cursor(last_event_id or asked.last_event_id)
        return EventStream(bus, FeedRequest(only=asked.only, cursor=cursor, may=reader.may), timings)

    @router.head("/calls/{call_sid}/events", include_in_schema=False)
    @router.get("/calls/{call_sid}/events", **{**_STREAM, "responses": {**_STREAM["responses"], **_OF_ONE_CALL}})
    async def follow_call(
        call_sid: str, asked: Annotated[EventQuery, Query()], reader: CurrentReader, last_event_id: LastEventId = ""
    ) -> Response:
        """Follow one call to the end of its last stream in this process."""
        cursor = _cursor(last_event_id or asked.last_event_id)
        followed = FeedRequest(call_sid, _stream_of(calls, call_sid), asked.only, cursor, reader.may)
        if not is_over(followed.call, bus, call_sid) or _has_more(followed, bus):
            return EventStream(bus, followed, timings)
        return Response(status_code=204)  # HTML, 9.2.3: an EventSource does not come back

    return router


def _stream_of(calls: CallRegistry, call_sid: str) -> Call | None:
    """Return a stream of the call of which events are still to come; its newest, where none are."""
    still_to_come = (each for each in calls if each.identity.call_sid == call_sid and not each.reporter.ended)
    return next(still_to_come, calls.get(call_sid))


def is_over(call: Call | None, bus: Bus, call_sid: str) -> bool:
    """Whether no more events of the call are to come from its streams in this process."""
    return (call is None or call.reporter.ended) and not bus.goes_on(call_sid)


def _has_more(followed: FeedRequest, bus: Bus) -> bool:
    """Whether there is anything to say to a reader of a call that is over. Raises 404 where nothing is known of it."""
    call_sid, cursor = followed.call_sid or "", followed.cursor
    if cursor is None:
        if followed.call is None:
            raise HTTPException(404, NOT_LIVE)
        return True  # it ended a moment ago: an empty stream
    replay = bus.ring.after(cursor)
    if any(kept.event.call_sid == call_sid for kept in replay.events):
        return True
    if not bus.ring.has_call(call_sid):
        raise HTTPException(404, _NOT_KEPT)
    return False


def _cursor(text: str) -> Cursor | None:
    try:
        return Cursor.parse(text) if text else None
    except MalformedCursorError:
        raise HTTPException(400, _MALFORMED) from None


async def _check_accept(request: Request) -> None:
    if not accepts(",".join(request.headers.getlist("accept")), MEDIA_TYPE):
        raise HTTPException(406, f"This is a stream of events: send `Accept: {MEDIA_TYPE}`, or no `Accept`.")
