"""The plan of a simulated call, and the report on it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from batkol.simulators.twilio.checks import Violation
from batkol.simulators.twilio.ear import Ear
from batkol.simulators.twilio.handset import FRAME

MOST_VIOLATIONS: Final = 1000  # kept in a report; a peer that breaks the protocol breaks it at every message


OWN_TWIML: Final = "https://handler.twilio.com/twiml/EH" + "0" * 32
"""The URL of TwiML that Twilio keeps for the account: a TwiML Bin. A `<Redirect>` to it begins it again."""


UPDATED: Final = "https://api.twilio.com/2010-04-01/update"
"""The URL of TwiML that came by an update of the call."""


class CallEnding(StrEnum):
    """Ways in which the call ends after the last word."""

    HANG_UP = "hang_up"  # `stop`, then the WebSocket is closed
    ABRUPT = "abrupt"  # the connection is gone without a word
    SERVER = "server"  # the caller waits, silent, until the service ends the stream


class CallOutcome(StrEnum):
    """Results of the call."""

    COMPLETED = "completed"  # a stream was opened, and has ended
    APOLOGY = "apology"  # the TwiML only spoke, and opened no stream
    HUNG_UP = "hung_up"  # the TwiML neither spoke nor opened a stream
    WEBHOOK_FAILED = "webhook_failed"
    HANDSHAKE_FAILED = "handshake_failed"


def new_sid(prefix: str) -> str:
    """Return a SID as Twilio makes them: two letters and 32 hexadecimal digits."""
    return prefix + secrets.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPlan:
    """One call. Times in ms are audio time: they count from the stream's first sample, and `speed` bends
    them.
    """

    base_url: str  # where the service is reached: http(s)://host[:port][/prefix]
    public_url: str | None = None  # the PUBLIC_BASE_URL in the requests' URLs, if not `base_url`
    auth_token: str | None = None  # signs webhooks and handshake; None: no signature at all
    audio: bytes = b""  # mu-law at 8000 Hz; more can be said during the call
    ending: CallEnding = CallEnding.HANG_UP
    tail_ms: int = 0  # silence between the last sample and the end
    hangup: asyncio.Event | None = None  # ends the call, as `ending` says, as soon as it is set
    speed: float = 1.0  # 2.0: a call of a minute takes half a minute
    delay_ms: float = 0.0  # from the service to Twilio, and as much from Twilio to the service; not bent by `speed`
    jitter_ms: float = 0.0  # each message, both ways, is up to this much later; never out of order; not bent
    update_ms: float = 0.0  # from an update of the call by Twilio's REST API to the end of its stream; not bent
    buffer_ms: float = 0.0  # Twilio plays sound that comes after silence so much later; not bent
    gaps: tuple[tuple[int, int], ...] = ()  # (at, length): messages lost on the way, with the sound in them
    holds: tuple[tuple[int, int], ...] = ()  # (at, length): no messages at all; queued sound waits
    dtmf: tuple[tuple[int, str], ...] = ()  # (at, digit)
    call_sid: str = field(default_factory=lambda: new_sid("CA"))
    account_sid: str = "AC" + "0" * 32
    caller: str = "+972500000001"
    called: str = "+972300000001"
    form: Mapping[str, str] = field(default_factory=dict)  # further fields of the webhook, or other values for them
    own_twiml: str = ""  # TwiML of the account's own (see `own_twiml`), done in the place of the webhook's answer
    voice_path: str = "/twilio/voice"
    status_path: str | None = "/twilio/status"  # called when the call is over
    open_timeout: float = 15.0  # seconds for a webhook or a handshake, as Twilio has it
    seed: int = 0  # of the jitter

    @property
    def public_base(self) -> str:
        return (self.public_url or self.base_url).rstrip("/")

    @property
    def first_page(self) -> str:
        """The URL of the number's TwiML."""
        return OWN_TWIML if self.own_twiml else self.public_base + self.voice_path

    @property
    def frame_s(self) -> float:
        """Seconds from one media message to the next."""
        return 0.020 / self.speed

    def route(self, url: str) -> str:
        """Return where `url` is to be reached: the public base, http or ws, is replaced by the given one."""
        public, base = self.public_base, self.base_url.rstrip("/")
        for old, new in ((public, base), (_as_ws(public), _as_ws(base))):
            if url == old or url.startswith(f"{old}/"):
                return new + url[len(old) :]
        return url


def _as_ws(url: str) -> str:
    return url.replace("http", "ws", 1)


class StreamEnd(NamedTuple):
    """The end of one stream that the call did not leave for another one."""

    by: str  # "caller" or "server"
    code: int | None  # 1006: the connection was lost without a close frame
    reason: str  # that the peer gave with the code


@dataclass(slots=True)
class CallReport:
    """The result of a call, with Twilio's own numbers for its warnings and errors. Times are monotonic seconds."""

    call_sid: str
    frame_s: float
    outcome: CallOutcome = CallOutcome.HUNG_UP
    stream_sid: str = ""  # the latest stream's; each of a call has its own
    streams: int = 0
    http_status: int = 0  # of the last webhook
    handshake_status: int = 0  # the HTTP status where the WebSocket was refused
    dialled: list[str] = field(default_factory=list)  # numbers and SIP URIs that the TwiML connected the caller to
    ended_by_rest: bool = False  # Twilio's REST API ended the call
    said: list[str] = field(default_factory=list)  # the texts that the TwiML read to the caller
    frames_sent: int = 0
    media_start: float = 0.0  # when the first frame of the latest stream was due
    latest: float = 0.0  # seconds by which a frame went out late, at worst: how busy this machine was
    ends: list[StreamEnd] = field(default_factory=list)  # of the streams that the call did not leave
    left_codes: list[int | None] = field(default_factory=list)  # how streams were closed that the call had left before
    marks: list[str] = field(default_factory=list)  # echoed, in their order
    clears: int = 0
    received: bytearray = field(default_factory=bytearray)  # mu-law from the service, heard or not
    ear: Ear = field(init=False)  # what the caller heard of it, and when
    replies_at: list[float] = field(default_factory=list)  # when sound began to come while none was playing
    violations: list[Violation] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ear = Ear(speed=0.020 / self.frame_s)

    @property
    def closed_by(self) -> str:
        """The party that closed the last stream: "caller" or "server"; empty if there was none."""
        return self.ends[-1].by if self.ends else ""

    @property
    def close_code(self) -> int | None:
        """The code with which the last stream was closed."""
        return self.ends[-1].code if self.ends else None

    @property
    def close_reason(self) -> str:
        """The reason that came with it."""
        return self.ends[-1].reason if self.ends else ""

    @property
    def heard(self) -> bytes:
        """The mu-law that the caller has heard: what was played before a `clear` took effect or the call ended."""
        return self.ear.heard

    @property
    def clean(self) -> bool:
        """Whether Twilio would have logged nothing."""
        return not self.violations

    def complain(self, code: int, text: str) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(Violation(code, text))

    def sent_at(self, sample: int) -> float:
        """Return when the message with this sample of the latest stream was due to go out."""
        return self.media_start + sample // FRAME * self.frame_s
