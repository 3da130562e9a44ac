"""The lines of live calls, for plug-ins: what a program does over HTTP (`batkol.web.line`), with the same limits."""

from __future__ import annotations

import asyncio
from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.calls.call import Call
from batkol.calls.registry import CallRegistry
from batkol.calls.telephone import Telephone
from batkol.conversation.announcements import Announcements, LineClosedError
from batkol.conversation.conversation import Conversation
from batkol.conversation.inputs import EndAsked
from batkol.conversation.reply import LONGEST_S
from batkol.plugins.contract import Lines, NotLiveError, PluginLine
from batkol.voices.wav import to_phone
from batkol.voices.wav_header import begins_wav
from batkol.web.line import LARGEST_SOUND, LONGEST_MARK, LONGEST_TEXT

OPEN_S: Final = 1.0
"""Seconds from the beginning of a call in which its line is opened."""


def lines(calls: CallRegistry, telephone: Telephone) -> Lines:
    """Return what finds the line of a live call."""

    def line(call_sid: str) -> PluginLine | None:
        call = calls.get(call_sid)
        return None if call is None else AnnouncementLine(call, telephone)

    return line


class AnnouncementLine:
    """The line of one call, on the event loop of the calls.

    Everything raises `NotLiveError` where the call is about to end, `LineFullError` where too much waits, and
    `ValueError` for what HTTP refuses with 413 or 422.
    """

    def __init__(self, call: Call, telephone: Telephone) -> None:
        self._call = call
        self._telephone = telephone

    async def say(self, text: str, *, interrupt: bool) -> str:
        if not text.strip() or len(text) > LONGEST_TEXT:
            raise ValueError(f"a text has 1 to {LONGEST_TEXT} characters")
        _check_whole(text)
        return (await self._announcements()).say(text, urgent=interrupt)

    async def play(self, audio: bytes) -> str:
        if not audio or len(audio) > LARGEST_SOUND:
            raise ValueError(f"a sound has 1 to {LARGEST_SOUND} bytes")
        if begins_wav(audio):
            audio = await asyncio.to_thread(to_phone, audio, longest_s=LONGEST_S)
        elif len(audio) > LONGEST_S * SAMPLE_RATE:
            raise ValueError(f"a sound lasts at most {LONGEST_S:.0f} s")
        return (await self._announcements()).play(audio)

    async def clear(self) -> int:
        try:
            return self._conversation.clear()
        except LineClosedError as error:
            raise NotLiveError(str(error)) from None

    async def mark(self, name: str) -> None:
        if not 0 < len(name) <= LONGEST_MARK:
            raise ValueError(f"a mark has 1 to {LONGEST_MARK} characters")
        _check_whole(name)
        (await self._announcements()).mark(name)

    async def hangup(self) -> None:
        self._end(EndAsked())

    async def transfer(self, label: str) -> None:
        """Raises `NoTelephoneError` and `UnknownLabelError` besides."""
        self._telephone.of(self._call.identity).check(label)
        self._end(EndAsked(transfer=label))

    def _end(self, asked: EndAsked) -> None:
        try:
            self._conversation.end(asked)
        except LineClosedError as error:
            raise NotLiveError(str(error)) from None

    @property
    def _conversation(self) -> Conversation:
        if self._call.ended_by or self._call.conversation is None:
            raise NotLiveError("The call takes nothing more to say: it is about to end.")
        return self._call.conversation

    async def _announcements(self) -> Announcements:
        """Return what takes announcements. A plug-in hears `call.started` a moment before the line is open: wait."""
        while True:
            try:
                return self._conversation.open_line
            except LineClosedError as error:
                if self._call.age > OPEN_S:
                    raise NotLiveError(str(error)) from None
            await asyncio.sleep(0.01)


def _check_whole(text: str) -> None:
    """Refuse half of a surrogate pair, which neither an event nor a message to Twilio can hold. Raises `ValueError`."""
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text has half of a surrogate pair, such as \\ud800 alone")
