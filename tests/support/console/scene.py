"""Calls that a page shows: events as a service publishes them, with times that a person believes."""

from __future__ import annotations

import time
from typing import Any, Final

from batkol.events.bus import Bus
from batkol.events.events import (
    CallEnded,
    CallStarted,
    Event,
    FinalText,
    KeyPressed,
    PartialText,
    ReplyEnded,
    ReplyFailed,
    ReplyInterrupted,
    ReplySentence,
    ReplyStarted,
    RevisedText,
    TentativeText,
    TentativeWithdrawn,
    ToolCalled,
    UtteranceEnded,
    UtteranceStarted,
)

HANG_OVER_S: Final = 0.48


class ScriptedCall:
    """A call that publishes its events. Its clock begins `ago_s` before now, and each thing that happens moves it."""

    def __init__(self, bus: Bus, number: int, *, ago_s: float = 30.0, agent: str = "reception", **more: Any) -> None:
        self._bus = bus
        self.call_sid = f"CA{number:032x}"
        self.stream_sid = f"MZ{number:032x}"
        self.agent = agent
        self.recognizer = "google-v1/default"
        self._seq = 0
        self._utterance = -1
        self._turn = 0
        self._at = time.time() - ago_s
        self._begun = self._at
        self._speech_end = self._at
        caller = {"from_": f"+9725{4_123_4500 + number}", "to": "+97239876543", "direction": "inbound", **more}
        self._publish(CallStarted, agent=agent, streaming=True, **caller)

    def passes(self, seconds: float) -> None:
        self._at += seconds

    def begins(self, *texts: str, streaming: bool = True) -> None:
        """The caller speaks: each text is a partial."""
        self._utterance += 1
        self._publish(
            UtteranceStarted,
            **self._ids,
            begin_ms=self._ms - 300,
            speech_ms=self._ms,
            mode="streaming" if streaming else "single",
            flag_variant="on" if streaming else "off",
            flag_reason="STATIC" if streaming else "TARGETING_MATCH",
            recognizer=self.recognizer if streaming else "",
        )
        for number, text in enumerate(texts, 1):
            self.passes(0.35)
            of = {"number": number, "recognizer": self.recognizer if streaming else ""}
            self._publish(PartialText, **self._ids, text=text, stability=0.9, **of)

    def is_quiet(self, text: str, number: int = 1) -> None:
        """The caller falls silent, and the newest text reaches the end."""
        self._speech_end = self._at
        self.passes(0.16)
        self._publish(TentativeText, **self._ids, number=number, text=text, end_ms=self._ms - 160)

    def goes_on(self, reason: str = "speech", number: int = 1) -> None:
        self.passes(0.1)
        self._publish(TentativeWithdrawn, **self._ids, number=number, reason=reason)

    def says(self, text: str, *, confirms: int | None = 1, **final: Any) -> None:
        """The hang-over is over, and the final comes."""
        self._at = self._speech_end + HANG_OVER_S
        end = round((self._speech_end - self._begun) * 1000)
        self._publish(UtteranceEnded, **self._ids, end_ms=end)
        self.passes(0.12)
        of: dict[str, Any] = {
            "source": "final",
            "mode": "streaming",
            "begin_ms": max(0, end - 1800),
            "end_ms": end,
            "words": len(text.split()),
            "partials": 3,
            "first_partial_ms": 340.0,
            "latency_ms": (self._at - self._speech_end) * 1000,
            "confirms": confirms,
            "recognizer": self.recognizer,
            "trace_id": f"{self._utterance + 1:032x}",
        }
        self._publish(FinalText, **self._ids, text=text, **{**of, **final})

    def utters(self, text: str) -> None:
        """Say a whole utterance."""
        words = text.split()
        self.begins(*(" ".join(words[: count + 1]) for count in range(len(words))))
        self.is_quiet(text)
        self.says(text)

    def is_revised(self, text: str) -> None:
        self.passes(0.4)
        self._publish(RevisedText, **self._ids, text=text, latency_ms=1100.0)

    def replies(self, *pieces: str, latency_ms: float = 741.0, phrase: str | None = None) -> str:
        """The agent begins to speak; return the reply's id."""
        self._turn += 1
        if phrase is None:
            self._at = max(self._at, self._speech_end + latency_ms / 1000)
        self._publish(ReplyStarted, **self._reply, phrase=phrase, latency_ms=None if phrase else latency_ms)
        for index, text in enumerate(pieces):
            self._publish(ReplySentence, **self._reply, index=index, text=text, begin_ms=900 * index)
            self.passes(0.9)
        return str(self._reply["reply_id"])

    def is_interrupted(self, heard: str) -> None:
        self._publish(ReplyInterrupted, **self._reply, heard=heard)

    def has_said(
        self, intended: str, heard: str | None = None, *, latency_ms: float | None = 741.0, **more: Any
    ) -> None:
        """The reply is over."""
        parts = (0.28, 0.47, 0.02, 0.17, 0.06)
        names = ("text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms")
        split = {
            name: None if latency_ms is None else latency_ms * part for name, part in zip(names, parts, strict=True)
        }
        of = {"answerer": "openai", "voice": "google", "attempts": 1, "prompt_tokens": 412, "completion_tokens": 23}
        self._publish(
            ReplyEnded,
            **self._reply,
            intended=intended,
            heard=intended if heard is None else heard,
            interrupted=heard is not None,
            latency_ms=latency_ms,
            **split,
            **{**of, **more},
        )

    def fails(self, part: str, reason: str) -> None:
        self._publish(ReplyFailed, **self._reply, part=part, reason=reason)

    def calls_tool(self, name: str, arguments: str, outcome: str = "done") -> None:
        self.passes(0.05)
        self._publish(ToolCalled, turn=self._turn, name=name, arguments=arguments, outcome=outcome, duration_ms=34.0)

    def presses(self, digits: str) -> None:
        for digit in digits:
            self.passes(0.3)
            self._publish(KeyPressed, digit=digit)

    def ends(self, reason: str = "stop") -> None:
        figures: dict[str, Any] = {
            "utterances": 1,
            "words": 1,
            "finals": {},
            "fallbacks": 0,
            "sessions": 1,
            "gap_ms": 0,
        }
        self._publish(CallEnded, reason=reason, duration_s=self._at - self._begun, close_code=1000, **figures)

    @property
    def _ids(self) -> dict[str, Any]:
        return {"utterance_id": f"{self.call_sid}-{self._utterance}", "index": self._utterance}

    @property
    def _reply(self) -> dict[str, Any]:
        return {"reply_id": f"{self.stream_sid}-r{self._turn}", "turn": self._turn}

    @property
    def _ms(self) -> int:
        return round((self._at - self._begun) * 1000)

    def _publish(self, event_type: type[Event], /, **fields: Any) -> None:
        self._seq += 1
        event = event_type(call_sid=self.call_sid, stream_sid=self.stream_sid, seq=self._seq, at=self._at, **fields)
        self._bus.publish(event, self.agent)


GREETING: Final = "שלום, הגעתם למרפאה. איך אפשר לעזור?"
OFFER: Final = "בשמחה. מחר יש שלושה תורים. הראשון הוא ב-08:30, אצל ד״ר כהן. מה מתאים לכם?"


def busy_morning(bus: Bus) -> list[ScriptedCall]:
    """Publish some calls in which everything happens that a page shows; the first one has the most in it."""
    main = ScriptedCall(bus, 1, ago_s=42)
    _first_turns(main)
    main.passes(1.5)
    main.begins("המספר", "המספר שלי הוא", "המספר שלי הוא +972 54 123")
    others = [ScriptedCall(bus, number, ago_s=20 + 37 * number, agent=agent) for number, agent in _OTHERS]
    others[0].utters("כן מחר בערב מתאים לי")
    others[0].replies("מצוין.", "רשמתי אתכם ליום שלישי ב-18:00.")
    others[1].begins("אני מחפש", "אני מחפש את Google Maps", streaming=False)
    others[2].utters("אפשר לדבר עם נציג")
    others[2].replies("אני מעבירה אתכם.", latency_ms=1840.0)
    others[2].has_said("אני מעבירה אתכם.", latency_ms=1840.0)
    others[3].presses("3141#")
    others[4].utters("תודה ולהתראות")
    others[4].ends("hung_up")
    return [main, *others]


SHOWN: Final = {
    "live": (".calls .state", "agent hung up"),
    "one call": (".detail .utterance .text", "123"),
    "history": (".history .result", "This service stores no calls"),
    "leads": (".leads-view .result", "This service stores no"),
    "pods": (".pod .recognizers", "Streams"),
    "phone": (".phone .to-whom", "You call"),
}
"""What a view of a service without a store shows when it has its answers, of a busy morning: selector and text."""

_OTHERS: Final = ((2, "reception"), (3, "pharmacy"), (4, "reception"), (5, "billing"), (6, "reception"))


def _first_turns(call: ScriptedCall) -> None:
    call.replies(GREETING, phrase="greeting")
    call.has_said(GREETING, latency_ms=None, answerer="", kind="phrase")
    call.passes(1)
    call.begins("אני", "אני רוצה", "אני רוצה לקבוע")
    call.is_quiet("אני רוצה לקבוע")
    call.goes_on()
    call.passes(0.4)
    call.is_quiet("אני רוצה לקבוע תור מחר", 2)
    call.says("אני רוצה לקבוע תור מחר.", confirms=2)
    call.calls_tool("free_slots", '{"day": "מחר"}')
    call.replies("בשמחה.", "מחר יש שלושה תורים.", "הראשון הוא ב-08:30, אצל ד״ר כהן.")
    call.is_interrupted("בשמחה. מחר יש שלושה תורים. הראשון הוא")
    call.has_said(OFFER, "בשמחה. מחר יש שלושה תורים. הראשון הוא")
    call.recognizer = "soniox/stt-rt-v5"
    call.begins("לא", "לא רגע", "לא רגע בערב")
    call.is_quiet("לא רגע בערב")
    call.says("לא רגע בערב.")
    call.is_revised("לא, רק בערב.")
    call.replies("סליחה.", "יש תור מחר ב-18:15.", latency_ms=912.0)
    call.has_said("סליחה. יש תור מחר ב-18:15.", latency_ms=912.0)
