"""Calls whose events are handed on to sinks."""

from __future__ import annotations

from typing import Any

from batkol.events.events import Event
from batkol.events.outgoing import OUTGOING
from batkol.simulators.twilio.caller import Caller
from support.service.stack import Stack


async def call_with_two_finals(up: Stack, speech: bytes, **plan: Any) -> str:
    """Make a call that says this, which is two utterances; return its SID."""

    async def talk(caller: Caller) -> None:
        await caller.say(speech)
        await up.heard.has_finals(caller.plan.call_sid, 2)

    return (await up.call(script=talk, **plan)).call_sid


def handed_on(up: Stack, *call_sids: str) -> list[Event]:
    """The events of calls that the store keeps, as the bus had them."""
    return [
        event for sid in call_sids for event in up.heard.events[sid] if str(event.__struct_config__.tag) in OUTGOING
    ]
