"""The messages of a Twilio media stream, both ways, and the only place where their JSON is read.

Twilio's page: https://www.twilio.com/docs/voice/media-streams/websocket-messages. Every number arrives as a
string, so the decoder is not strict about that; fields that Twilio adds are ignored, because it adds them
without notice. Every length and number is bounded here: what comes in is from a network until the stream's
token has been verified.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

import msgspec

LONGEST_PAYLOAD: Final = 1 << 20
"""Bytes of mu-law in one message: 131 s of sound. Twilio sends 160."""

_LONGEST_MESSAGE: Final = 2 << 20  # characters: the longest payload in base64 (4/3), and room for the rest

Sid = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
ShortText = Annotated[str, msgspec.Meta(max_length=64)]
Name = Annotated[str, msgspec.Meta(max_length=1024)]
Key = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Da-d*#]\Z")]
Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 32)]
Mulaw = Annotated[bytes, msgspec.Meta(max_length=LONGEST_PAYLOAD)]


class Malformation(StrEnum):
    """Reasons why a message could not be read; short and stable, for metrics."""

    NOT_JSON = "not_json"
    UNKNOWN_EVENT = "unknown_event"
    INVALID = "invalid"


class MalformedMessage(ValueError):  # noqa: N818 - the wire's noun; the stream counts it and goes on
    """A text that is no message of a media stream. Its content is never part of the error's text.

    `event` is what it says to be, of the names that there are; "" if it says none of them.
    """

    def __init__(self, kind: Malformation, where: str = "", event: str = "") -> None:
        at = f" at {where}" if where else ""
        super().__init__(
            f"Twilio sent a message that the service cannot read ({kind}{at}); the service counts and ignores the "
            "message."
        )
        self.kind = kind
        self.event = event


class Message(msgspec.Struct, frozen=True, rename="camel", tag_field="event"):
    """Base of what Twilio sends."""


class Connected(Message, frozen=True, tag="connected"):
    """The first message, once. It carries neither a stream SID nor a sequence number."""

    protocol: ShortText = "Call"
    version: ShortText = "1.0.0"


class MediaFormat(msgspec.Struct, frozen=True, rename="camel"):
    """Always audio/x-mulaw, 8000, 1 by Twilio's documentation; `MediaStream.start` checks that."""

    encoding: ShortText
    sample_rate: Count  # Hz
    channels: Count = 1


class StartDetails(msgspec.Struct, frozen=True, rename="camel"):
    """The call of the stream, and the TwiML's `<Parameter>`s."""

    stream_sid: Sid
    account_sid: Sid
    call_sid: Sid
    media_format: MediaFormat
    tracks: tuple[ShortText, ...] = ("inbound",)
    custom_parameters: Mapping[Name, Name] = {}


class Start(Message, frozen=True, tag="start"):
    """The second message, once."""

    sequence_number: Count
    stream_sid: Sid
    start: StartDetails


class Chunk(msgspec.Struct, frozen=True, rename="camel"):
    """A piece of sound. `chunk` counts from 1; `timestamp` is in ms from the start of the stream."""

    track: ShortText
    chunk: Count
    timestamp: Count
    payload: Mulaw  # no header; 20 ms each in every observed call, without a promise of Twilio's


class Media(Message, frozen=True, tag="media"):
    """Fifty a second, of every call."""

    sequence_number: Count
    stream_sid: Sid
    media: Chunk


class Press(msgspec.Struct, frozen=True, rename="camel"):
    """A key. Its track is always "inbound_track", not "inbound"."""

    digit: Key  # agents put it before a language model: it is a key, and no text
    track: ShortText = "inbound_track"


class Dtmf(Message, frozen=True, tag="dtmf"):
    """The caller pressed a key."""

    sequence_number: Count
    stream_sid: Sid
    dtmf: Press


class MarkName(msgspec.Struct, frozen=True, rename="camel"):
    """The name that we gave the mark."""

    name: Name


class Mark(Message, frozen=True, tag="mark"):
    """Our mark comes back: what was sent before it has been played, or was dropped by `clear`."""

    sequence_number: Count
    stream_sid: Sid
    mark: MarkName


class StopDetails(msgspec.Struct, frozen=True, rename="camel"):
    """The call that ended."""

    account_sid: Sid
    call_sid: Sid


class Stop(Message, frozen=True, tag="stop"):
    """The stream was stopped, or the call has ended. The last message."""

    sequence_number: Count
    stream_sid: Sid
    stop: StopDetails


Inbound = Connected | Start | Media | Dtmf | Mark | Stop


class OutboundChunk(msgspec.Struct, frozen=True):
    """Mu-law at 8000 Hz without a header, of any length."""

    payload: Mulaw


class OutboundMedia(Message, frozen=True, tag="media"):
    """Sound for the caller; Twilio buffers it and plays it in order."""

    stream_sid: Sid
    media: OutboundChunk


class OutboundMark(Message, frozen=True, tag="mark"):
    """Asks for an echo when what was sent before it has been played."""

    stream_sid: Sid
    mark: MarkName


class OutboundClear(Message, frozen=True, tag="clear"):
    """Empties Twilio's buffer; all pending marks come back at once."""

    stream_sid: Sid


class _Envelope(msgspec.Struct):
    event: str


_INBOUND: Final[msgspec.json.Decoder[Inbound]] = msgspec.json.Decoder(Inbound, strict=False)
_ENVELOPE: Final = msgspec.json.Decoder(_Envelope)
_ENCODER: Final = msgspec.json.Encoder()
_EVENTS: Final = frozenset(("connected", "start", "media", "dtmf", "mark", "stop"))


def parse(text: str | bytes) -> Inbound:
    """Read one WebSocket message. Raises `MalformedMessage`, and nothing else, for whatever it is given."""
    if len(text) > _LONGEST_MESSAGE:
        raise MalformedMessage(Malformation.INVALID, "its length")
    try:
        return _INBOUND.decode(text)
    except msgspec.ValidationError as error:
        # msgspec names the field at the end; what stands before may quote the message, so only the field is
        # kept.
        _, at, where = str(error).rpartition(" - at ")
        raise _malformed(text, where.strip("`") if at else "") from None
    except (msgspec.DecodeError, UnicodeError):
        raise MalformedMessage(Malformation.NOT_JSON) from None
    except RecursionError:
        raise MalformedMessage(Malformation.INVALID, "its depth") from None


def _malformed(text: str | bytes, where: str) -> MalformedMessage:
    try:
        event = _ENVELOPE.decode(text).event
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return MalformedMessage(Malformation.INVALID, where)
    if event not in _EVENTS:
        return MalformedMessage(Malformation.UNKNOWN_EVENT, where)
    return MalformedMessage(Malformation.INVALID, where, event)


def encode_media(stream_sid: str, mulaw: bytes) -> str:
    """Return the message that plays `mulaw` to the caller: any length, but no WAV header (31951)."""
    return _ENCODER.encode(OutboundMedia(stream_sid, OutboundChunk(mulaw))).decode()


def encode_mark(stream_sid: str, name: str) -> str:
    """Return the message that asks for an echo once all the sound sent before it has been played."""
    return _ENCODER.encode(OutboundMark(stream_sid, MarkName(name))).decode()


def encode_clear(stream_sid: str) -> str:
    """Return the message that throws away what has not been played yet."""
    return _ENCODER.encode(OutboundClear(stream_sid)).decode()
