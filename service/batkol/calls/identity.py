"""Who is calling whom: what the flag may be targeted by."""

from __future__ import annotations

import msgspec


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """One call. The numbers never leave it for a log line, a span or a metric."""

    call_sid: str
    stream_sid: str
    account_sid: str
    agent: str = ""
    from_: str = ""
    to: str = ""
    direction: str = "inbound"
