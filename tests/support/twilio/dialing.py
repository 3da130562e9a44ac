"""A hand-made Twilio for what the polite caller would never send."""

from __future__ import annotations

import base64
import json
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from batkol.twilio.signature import signature
from support.http.raw_websocket import RawWebSocket, handshake
from support.http.raw_websocket import connected as raw_connected
from support.service.stack import PUBLIC, TOKEN, Stack

ACCOUNT = "AC" + "0" * 32
WSS = PUBLIC.replace("https", "wss") + "/twilio/media"


async def ask_for_twiml(up: Stack, call_sid: str) -> dict[str, str]:
    """Place the webhook and return the stream's parameters."""
    fields = [
        ("CallSid", call_sid),
        ("AccountSid", ACCOUNT),
        ("From", "+972500000001"),
        ("To", ""),
        ("Direction", "inbound"),
    ]
    signed = signature(TOKEN, f"{PUBLIC}/twilio/voice", fields)
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{up.url}/twilio/voice", data=dict(fields), headers={"X-Twilio-Signature": signed})
    assert answer.status_code == 200, answer.text
    return {p.attrib["name"]: p.attrib["value"] for p in ET.fromstring(answer.text).iter("Parameter")}


@asynccontextmanager
async def socket(up: Stack, *, sign: bool = True) -> AsyncIterator[ClientConnection]:
    headers = {"x-twilio-signature": signature(TOKEN, WSS, ())} if sign else {}
    url = f"ws://127.0.0.1:{up.service.port}/twilio/media"
    async with connect(url, additional_headers=headers, compression=None, max_size=None) as ws:
        yield ws


@asynccontextmanager
async def raw_socket(up: Stack) -> AsyncIterator[RawWebSocket]:
    """A socket that answers no ping, and sends what frames a test likes."""
    signed = signature(TOKEN, WSS, ())
    async with raw_connected(up.service.port, shake=False) as raw:
        await raw.send(handshake("/twilio/media", f"x-twilio-signature: {signed}"))
        assert b" 101 " in await raw.upgraded()
        yield raw


def connected() -> str:
    return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def start(call_sid: str, parameters: dict[str, str], stream_sid: str = "MZ1", **fields: Any) -> str:
    details = {
        "streamSid": stream_sid,
        "accountSid": ACCOUNT,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "customParameters": parameters,
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        **fields,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": stream_sid, "start": details})


def media(number: int, audio: bytes = b"\xff" * 160, stream_sid: str = "MZ1") -> str:
    chunk = {
        "track": "inbound",
        "chunk": str(number),
        "timestamp": str((number - 1) * 20),
        "payload": base64.b64encode(audio).decode(),
    }
    return json.dumps({"event": "media", "sequenceNumber": str(number + 1), "streamSid": stream_sid, "media": chunk})


def mark(number: int, name: str) -> str:
    return json.dumps({"event": "mark", "sequenceNumber": str(number), "streamSid": "MZ1", "mark": {"name": name}})


def stop(call_sid: str, number: int = 99999) -> str:
    details = {"accountSid": ACCOUNT, "callSid": call_sid}
    return json.dumps({"event": "stop", "sequenceNumber": str(number), "streamSid": "MZ1", "stop": details})
