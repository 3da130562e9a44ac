"""The client of Batkol: follow calls and drive the line, from any program (the extra `client`).

It imports httpx and msgspec, and nothing of the service but its events, its status and its error base. docs/client.md
is its manual.
"""

from batkol.client import extra  # noqa: F401  the first one: without the packages it says what to install
from batkol.client.batkol import Batkol
from batkol.client.call import CallHandle
from batkol.client.connection import ClientLimits
from batkol.client.errors import (
    BusyError,
    CallOverError,
    ClientError,
    FeedEndedError,
    ForbiddenError,
    NotAvailableError,
    RequestRefusedError,
    ServiceUnreachableError,
    TokenRefusedError,
    UncertainError,
    UnexpectedAnswerError,
)
from batkol.client.events import FeedEvent, PeerPod, PeersChanged, UnknownEvent
from batkol.client.feed import EventFeed
from batkol.client.joined import Followed, FollowedCalls
from batkol.client.live import LiveCall, LiveCalls, ReplySoFar, TentativeSoFar, UtteranceSoFar
from batkol.client.scope import Scope
from batkol.events.events import (
    AnyEvent,
    CallEnded,
    CallStarted,
    Event,
    FeedGap,
    FinalText,
    KeyPressed,
    MarkPlayed,
    PartialText,
    ReplyEnded,
    ReplyEvent,
    ReplyFailed,
    ReplyInterrupted,
    ReplyResumed,
    ReplySentence,
    ReplyStarted,
    RevisedText,
    TentativeText,
    TentativeWithdrawn,
    ToolCalled,
    UtteranceEnded,
    UtteranceEvent,
    UtteranceStarted,
)
from batkol.status import ServiceStatus

__all__ = [
    "AnyEvent",
    "Batkol",
    "BusyError",
    "CallEnded",
    "CallHandle",
    "CallOverError",
    "CallStarted",
    "ClientError",
    "ClientLimits",
    "Event",
    "EventFeed",
    "FeedEndedError",
    "FeedEvent",
    "FeedGap",
    "FinalText",
    "Followed",
    "FollowedCalls",
    "ForbiddenError",
    "KeyPressed",
    "LiveCall",
    "LiveCalls",
    "MarkPlayed",
    "NotAvailableError",
    "PartialText",
    "PeerPod",
    "PeersChanged",
    "ReplyEnded",
    "ReplyEvent",
    "ReplyFailed",
    "ReplyInterrupted",
    "ReplyResumed",
    "ReplySentence",
    "ReplySoFar",
    "ReplyStarted",
    "RequestRefusedError",
    "RevisedText",
    "Scope",
    "ServiceStatus",
    "ServiceUnreachableError",
    "TentativeSoFar",
    "TentativeText",
    "TentativeWithdrawn",
    "TokenRefusedError",
    "ToolCalled",
    "UncertainError",
    "UnexpectedAnswerError",
    "UnknownEvent",
    "UtteranceEnded",
    "UtteranceEvent",
    "UtteranceSoFar",
    "UtteranceStarted",
]
