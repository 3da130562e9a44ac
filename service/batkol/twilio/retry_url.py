"""Retry of a call: the URL by which a pod that cannot take a call sends it to another pod, and its limit.

The load balancer chooses the pod anew for every request, so a call that meets a pod on its way out need only ask
again. So does one whose stream this service closed: "Twilio resumes the remaining TwiML only after your server closes
the WebSocket connection" (https://www.twilio.com/docs/api/errors/31921), and what remains there is a redirect to the
voice webhook. The count travels in the URL's query, which Twilio signs: no pod has to know of another. So does the
number of streams that the call was given so far, and the mark of a caller who has been greeted (`handover`).
"""

from __future__ import annotations

from typing import Final

MAX_ATTEMPTS: Final = 3
"""Most attempts in a row; after them the caller hears the apology."""

LIVED_S: Final = 20.0
"""A stream that lasted this many seconds was no refusal: when the service ends it, counting begins anew.

A refused stream is back within a few seconds: Twilio dials in one, `start` has 10 s at most, and the pause before the
redirect is 2 s at most. The pod that had the stream knows better, and asks whether it carried audio.
"""

_COUNT: Final = "again"
_SINCE: Final = "since"
_STREAMS: Final = "streams"
_GREETED: Final = "greeted"
_OURS: Final = frozenset({_COUNT, _SINCE, _STREAMS, _GREETED})


def attempts(query: str, now: float) -> int:
    """Return the attempts in a row before this request; `now` in unix seconds.

    `query` is the request's, as it came. An unreadable count is 0: this service did not write it.
    """
    return 0 if now - since(query) > LIVED_S else _given(query, _COUNT)


def since(query: str) -> int:
    """Return when the previous attempt was answered, in unix seconds; 0 if the query does not have it."""
    return _given(query, _SINCE)


def streams(query: str) -> int:
    """Return how many streams the call was given before this request. A stream that a pod refused is one of them."""
    return _given(query, _STREAMS)


def greeted(query: str) -> str:
    """Return the mark of a caller who has been greeted, as it came; whether it is genuine, its seal says."""
    return _text(query, _GREETED)


def retry_url(url: str, query: str, count: int, now: float, *, streams: int = 0, greeted: str = "") -> str:
    """Return the URL of the `count`-th attempt in a row; the rest of the query stays as it was.

    `streams` are those that the call will have been given by then, `greeted` is the mark of a greeted caller.
    """
    ours: dict[str, object] = {_COUNT: count, _SINCE: int(now)}
    if streams:
        ours[_STREAMS] = streams
    if greeted:
        ours[_GREETED] = greeted
    kept = [pair for pair in query.split("&") if pair and pair.partition("=")[0] not in _OURS]
    return f"{url}?{'&'.join([*kept, *(f'{name}={value}' for name, value in ours.items())])}"


def _given(query: str, name: str) -> int:
    return _number(_text(query, name))


def _text(query: str, name: str) -> str:
    return dict(pair.partition("=")[::2] for pair in query.split("&")).get(name, "")


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0
