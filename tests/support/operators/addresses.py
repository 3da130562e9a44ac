"""Every field of a VoiceAgent that holds an address, with a spec that has a host and a port there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from support.operators.agents import TWILIO

KEY = {"name": "keys", "key": "one"}  # YAML may read a lonely n as false
ECHO = {"kind": "Echo"}
CALLS = {"urlSecretRef": KEY}


def sinks(**sink: Any) -> dict[str, Any]:
    return {"database": CALLS, "sinks": [{"name": "one", **sink}]}


def reply(**parts: Any) -> dict[str, Any]:
    return {"reply": {"answerer": ECHO, **parts}}


def openai(address: str) -> dict[str, Any]:
    return {"kind": "OpenAI", "model": "m", "url": f"https://{address}/v1"}


ADDRESSES: dict[str, Callable[[str], dict[str, Any]]] = {
    "twilio.publicBaseUrl": lambda at: {"twilio": {**TWILIO, "publicBaseUrl": f"https://{at}/one"}},
    "twilio.restApi.url": lambda at: {
        "twilio": {**TWILIO, "restApi": {"accountSid": "AC" + "0" * 32, "url": f"https://{at}"}}
    },
    "recognition.endpoint": lambda at: {"recognition": {"endpoint": at}},
    "google.voices.endpoint": lambda at: {"google": {"voices": {"endpoint": at}}},
    "recognition.whisper.url": lambda at: {"recognition": {"whisper": {"url": f"http://{at}"}}},
    "recognition.soniox.url": lambda at: {"recognition": {"soniox": {"apiKeySecretRef": KEY, "url": f"wss://{at}/x"}}},
    "reply.answerer.url": lambda at: reply(answerer=openai(at)),
    "reply.answerers[0].url": lambda at: reply(answerers=[{"name": "b", **openai(at)}]),
    "reply.voice.url": lambda at: reply(voice=openai(at)),
    "reply.voices[0].url": lambda at: reply(voices=[{"name": "b", **openai(at)}]),
    "reply.tools[0].url": lambda at: reply(tools=[{"name": "book", "url": f"https://{at}?a=b"}]),
    "calls.overflowUrl": lambda at: {"calls": {"overflowUrl": f"https://{at}/busy"}},
    "internalApi.consoles[0].url": lambda at: {
        "internalApi": {"consoles": [{"agent": "sales", "url": f"https://{at}/console/"}]}
    },
    "telemetry.otlpEndpoint": lambda at: {"telemetry": {"otlpEndpoint": f"http://{at}"}},
    "telemetry.traceUrl": lambda at: {"telemetry": {"traceUrl": f"https://{at}/{{trace_id}}"}},
    "scaling.prometheusUrl": lambda at: {"scaling": {"prometheusUrl": f"http://{at}/select"}},
    "sinks[0].url": lambda at: sinks(kind="Webhook", url=f"https://{at}?x=1", signingSecretRef=KEY),
    "sinks[0].url ": lambda at: sinks(kind="NATS", url=f"nats://bus:4222,tls://{at}"),
}
"""By its place; the one that ends in a space is of another kind of sink."""
