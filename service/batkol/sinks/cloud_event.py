"""Events as CloudEvents 1.0, in the JSON format: what webhooks and NATS send alike.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md and formats/json-format.md beside it. It is the
structured content mode, in which "event metadata attributes and event data are placed into the HTTP request or response
body": a signature of Standard Webhooks covers the body and no other header, so in the binary mode a proxy could change
type, source and time of a signed event (ADR 0040). Of NATS the binding says: "the content mode is always
structured".
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from batkol.sinks.delivery import Envelope

CONTENT_TYPE: Final = "application/cloudevents+json; charset=UTF-8"
"""As the HTTP binding has it, 3.2.1."""

TYPE_PREFIX: Final = "dev.batkol."
"""A type "SHOULD be prefixed with a reverse-DNS name"."""


class _CloudEvent(msgspec.Struct):
    """One event. "Producers MUST ensure that source + id is unique": the id alone is. `stream` and `seq` are
    extension attributes: the order of events, for receivers that do not look into `data`."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    stream: str
    seq: int
    datacontenttype: str
    data: msgspec.Raw


_ENCODER: Final = msgspec.json.Encoder()


def encode(event: Envelope) -> bytes:
    """Return the event as a CloudEvent. `data` is in it as it is, byte for byte."""
    return _ENCODER.encode(
        _CloudEvent(
            specversion="1.0",
            id=event.id,
            source=f"/batkol/{quote(event.agent, safe='')}",  # a URI reference
            type=TYPE_PREFIX + event.type,
            subject=event.call_sid,
            time=event.time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),  # RFC 3339
            stream=event.stream,
            seq=event.seq,
            datacontenttype="application/json",
            data=msgspec.Raw(event.data),
        )
    )


def message_id(event: Envelope) -> str:
    """Return the id of an event as it may stand in a header: an event's own id, with what is no token escaped.

    Of the id of a webhook: "not be allowed to include any `.`", which divides what is signed.
    """
    return quote(event.id, safe="").replace(".", "%2E").replace("~", "%7E")
