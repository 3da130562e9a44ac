"""Messages of one media stream, as Twilio writes them: every number a string, sequence and chunk counted.

Written by hand from Twilio's page and not with `batkol.twilio.messages`, so that the two check each other:
https://www.twilio.com/docs/voice/media-streams/websocket-messages.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping

CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}'


class TwilioWire:
    """The sequence of one stream. Each method returns the text of the next message."""

    __slots__ = ("_account_sid", "_call_sid", "_chunk", "_sequence", "_stream_sid", "_tail")

    def __init__(self, *, stream_sid: str, call_sid: str, account_sid: str) -> None:
        self._stream_sid = stream_sid
        self._call_sid = call_sid
        self._account_sid = account_sid
        self._sequence = 0
        self._chunk = 0
        self._tail = f'"}},"streamSid":"{stream_sid}"}}'

    def start(self, parameters: Mapping[str, str]) -> str:
        details = {
            "accountSid": self._account_sid,
            "streamSid": self._stream_sid,
            "callSid": self._call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": dict(parameters),
        }
        return self._message("start", details)

    def media(self, mulaw: bytes, timestamp_ms: int) -> str:
        """Fifty a second of every call: one format of ready pieces, no JSON encoder."""
        self._sequence += 1
        self._chunk += 1
        payload = binascii.b2a_base64(mulaw, newline=False).decode("ascii")
        return (
            f'{{"event":"media","sequenceNumber":"{self._sequence}","media":{{"track":"inbound","chunk":'
            f'"{self._chunk}","timestamp":"{timestamp_ms}","payload":"{payload}{self._tail}'
        )

    def lose(self) -> None:
        """Count a media message that is never sent: what a loss on the way looks like to the receiver."""
        self._sequence += 1
        self._chunk += 1

    def dtmf(self, digit: str) -> str:
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> str:
        return self._message("mark", {"name": name})

    def stop(self) -> str:
        return self._message("stop", {"accountSid": self._account_sid, "callSid": self._call_sid})

    def _message(self, event: str, details: Mapping[str, object]) -> str:
        self._sequence += 1
        return json.dumps(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                event: details,
                "streamSid": self._stream_sid,
            },
            separators=(",", ":"),
        )
