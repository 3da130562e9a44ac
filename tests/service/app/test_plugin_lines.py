"""The line of a call as a plug-in has it: what HTTP refuses, it refuses, before the conversation gets it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from batkol.app.plugin_lines import AnnouncementLine
from batkol.calls.call import Call
from batkol.calls.telephone import NoTelephoneError, Telephone, UnknownLabelError
from batkol.plugins.contract import NotLiveError
from batkol.twilio_api.control import CallControl
from support.agent.talk import talking

pytestmark = pytest.mark.virtual_time

HALF = "שלום \ud83d"
"""What a program has that cuts a text in the middle of an emoji."""


@pytest.mark.virtual_time
async def test_half_a_character_is_refused_and_costs_the_conversation_nothing() -> None:
    async with talking(None) as talk:
        call = SimpleNamespace(conversation=talk.conversation, ended_by="", age=5.0)
        line = AnnouncementLine(cast("Call", call), Telephone())
        first = await line.say("תודה 😀", interrupt=False)
        for refused in (line.say(HALF, interrupt=False), line.mark(HALF)):
            with pytest.raises(ValueError, match="surrogate"):
                await refused
        await asyncio.sleep(3)

        assert len(talk.ends_of(first)) == 1
        assert talk.api.say("תודה").endswith("-a2"), "nothing else was accepted"


async def test_a_plugin_ends_calls_as_a_program_does() -> None:
    async with talking(None) as talk:
        known = SimpleNamespace(is_from_browser=False)
        call = cast("Call", SimpleNamespace(conversation=talk.conversation, ended_by="", age=5.0, identity=known))
        with pytest.raises(NoTelephoneError, match="TWILIO_ACCOUNT_SID"):
            await AnnouncementLine(call, Telephone()).transfer("sales")
        control = cast("CallControl", SimpleNamespace())
        with pytest.raises(NoTelephoneError, match="TRANSFER_ALLOWED"):
            await AnnouncementLine(call, Telephone(control)).transfer("sales")
        line = AnnouncementLine(call, Telephone(control, transfers=lambda: {"office": "+972501234567"}))
        with pytest.raises(UnknownLabelError, match="The labels are office") as unknown:
            await line.transfer("sales")
        await line.hangup()
        assert talk.hung_up
        with pytest.raises(NotLiveError):
            await line.transfer("office")

    assert "972" not in str(unknown.value)
