"""The one message of the phone that Twilio's protocol does not have: the service's `connected`."""

from __future__ import annotations

from typing import Final

import msgspec

VERSION: Final = "1"


class PhoneConnected(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="event", tag="connected"):
    """The first message of the service. The page's `start` has the same SIDs."""

    protocol: str = "batkol.phone"
    version: str = VERSION
    stream_sid: str
    call_sid: str
    account_sid: str
    agent: str
    """The agent that answers; empty for a service without a name of its own."""

    @property
    def sids(self) -> tuple[str, str, str]:
        """The SIDs of stream, call and account."""
        return self.stream_sid, self.call_sid, self.account_sid


def encode(message: PhoneConnected) -> str:
    """Return the message as JSON."""
    return msgspec.json.encode(message).decode()
