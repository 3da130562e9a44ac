"""The line of a call as a plug-in has it: what HTTP refuses, it refuses, before the conversation gets it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from batkol.app.plugin_lines import AnnouncementLine
from batkol.calls.call import Call
from support.agent.talk import talking

HALF = "שלום \ud83d"
"""What a program has that cuts a text in the middle of an emoji."""


async def test_half_a_character_is_refused_and_costs_the_conversation_nothing() -> None:
    async with talking(None) as talk:
        call = SimpleNamespace(conversation=talk.conversation, ended_by="", age=5.0)
        line = AnnouncementLine(cast("Call", call))
        first = await line.say("תודה 😀", interrupt=False)
        for refused in (line.say(HALF, interrupt=False), line.mark(HALF)):
            with pytest.raises(ValueError, match="surrogate"):
                await refused
        await asyncio.sleep(3)

        assert len(talk.ends_of(first)) == 1
        assert talk.api.say("תודה").endswith("-a2"), "nothing else was accepted"
