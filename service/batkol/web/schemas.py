"""Schemas of the history API: its answers, and what they share with its filters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from batkol.store.journal.record import LONGEST_NAME, LONGEST_TEXT, bounded
from batkol.web.reply_schemas import ConversationEntry, ReplyOut, ToolCallOut

_CALL_SID: Final = "CA5f0e8d3c2b1a49788796a5b4c3d2e1f0"
_STREAM_SID: Final = "MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0"
_NUMBER: Final = "+972541234567"


def _kept(given: str) -> str:
    """Remove NUL characters, which stored texts do not have."""
    return bounded(given, len(given))  # cuts nothing: what is too long is refused


KeptText = Annotated[str, BeforeValidator(lambda given: _kept(given) if isinstance(given, str) else given)]


class StrictModel(BaseModel):
    """Base of parameters and bodies: an unknown name is refused, since a misspelt filter would filter nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LeadChange(StrictModel):
    """Changes of a lead. An absent field stays; null clears the field."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "דנה לוי", "notes": "prefers the morning"}]})

    name: KeptText | None = Field(None, max_length=LONGEST_NAME)
    notes: KeptText | None = Field(None, max_length=LONGEST_TEXT)
    last_summary: KeptText | None = Field(None, max_length=LONGEST_TEXT)


class CorrectionChange(StrictModel):
    """Words that were said in an utterance. Empty: none. Null removes the correction."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "רציתי לקבוע תור לרופא עור"}]})

    text: KeptText | None = Field(max_length=LONGEST_TEXT)


class Problem(BaseModel):
    """An error: whose fault it is, and the remedy."""

    detail: str


PROBLEM: Final = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}
"""The body of a refusal, for `responses` of a route. Named as a model, it is compiled again for each route and status,
which was a quarter of what the service did at its start."""


class CallOut(BaseModel):
    """A call. Times are UTC."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "call_sid": _CALL_SID,
                    "stream_sids": [_STREAM_SID],
                    "account_sid": "AC" + "0" * 32,
                    "agent": "reception",
                    "caller_number": _NUMBER,
                    "called_number": "+97231234567",
                    "direction": "inbound",
                    "started_at": "2026-01-31T12:00:00.125000Z",
                    "ended_at": "2026-01-31T12:01:30Z",
                    "end_reason": "stop",
                    "duration_s": 91,
                    "mode": "streaming",
                    "pod": "reception-6c9f-x2x",
                    "slowest_final_ms": 612.5,
                    "figures": {_STREAM_SID: {"duration_s": 89.9, "utterances": 12, "words": 61}},
                    "erased_at": None,
                    "summary": "רוצה תור לרופא עור ביום שני בבוקר.",
                }
            ]
        }
    )

    call_sid: str
    stream_sids: list[str] = Field(description="The SIDs of the call's streams, one for each pod that had the call.")
    account_sid: str
    agent: str
    caller_number: str = Field(description="The caller's number. Empty if it was erased or withheld.")
    called_number: str
    direction: str
    started_at: datetime
    ended_at: datetime | None = Field(
        description=(
            "End of the call's newest stream; null while that stream is open. If the call's pod was killed, the "
            "end comes from Twilio's status callback, or after a day without records it is the time of the "
            "newest record."
        )
    )
    end_reason: str | None = Field(
        description=(
            "Why the call's newest stream ended: stop, closed, dropped, replaced, drained, pod_left, refused, error. "
            "If no pod recorded the reason: Twilio's status of the call (completed, busy, failed, no-answer, "
            "canceled), or lost if no status came."
        )
    )
    duration_s: int | None = Field(
        description="Duration of the whole call by Twilio's count, in seconds; null until Twilio reports it."
    )
    mode: str | None
    pod: str = Field(description="The pod that had the call last.")
    slowest_final_ms: float | None
    figures: dict[str, Any] = Field(description="Figures of each stream, by stream SID.")
    erased_at: datetime | None
    summary: str | None = Field(
        description="The summary of the conversation, made after the call; null before, and without SUMMARY_PROMPT."
    )


class UtteranceOut(BaseModel):
    """An utterance. Audio times count from the stream's first sample, latencies from the last sample of speech."""

    stream_sid: str
    index: int
    utterance_id: str
    started_at: datetime
    begin_ms: int | None
    end_ms: int | None
    text: str | None
    revised_text: str | None = Field(description="The revision of the text. Empty: the recognizer withdrew the text.")
    source: str | None
    recognizer: str | None = Field(
        description="The streaming recognizer that gave the text, such as `google-v1/default`; null for other sources."
    )
    mode: str | None
    words: int | None
    partials: int | None
    first_partial_ms: float | None
    final_ms: float | None
    revised_ms: float | None
    trace_id: str | None
    unvoiced: bool = Field(
        description="The VAD engine found no speech in the audio. An agent must not reply to this text."
    )
    unconfirmed: bool = Field(description="The text was an interim, and another recognizer found no word in the audio.")
    event_id: str | None = Field(description="`id` of the event `final`; null if only the revision is known.")
    revised_event_id: str | None = Field(description="`id` of the event `revised`; null without a revision.")
    correction: str | None = Field(
        description="What was said, as a person wrote it down. Empty: nothing was said. Null: no person corrected it."
    )
    corrected_by: str | None = Field(
        description="The name of the token with which the correction was written, or of the user of `batkol correct`."
    )
    corrected_at: datetime | None


class LeadOut(BaseModel):
    """An agent and a number that called it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 17,
                    "agent": "reception",
                    "caller_number": _NUMBER,
                    "first_call_at": "2026-01-02T08:00:00Z",
                    "last_call_at": "2026-01-31T12:00:00.125000Z",
                    "last_call_sid": _CALL_SID,
                    "calls": 3,
                    "name": "דנה לוי",
                    "notes": "prefers the morning",
                    "last_summary": None,
                    "fields": {"name": "דנה לוי", "party": 4},
                    "updated_at": "2026-01-31T12:00:01Z",
                }
            ]
        }
    )

    id: int
    agent: str
    caller_number: str
    first_call_at: datetime
    last_call_at: datetime
    last_call_sid: str = Field(
        description="The call of the lead's newest contact; that call may have been deleted since."
    )
    calls: int
    name: str | None = Field(
        description="The name that was set by `PATCH`; without one, the text that the agent saved as the field `name`."
    )
    notes: str | None
    last_summary: str | None
    fields: dict[str, Any] = Field(
        description="What the agent saved by its tool `save_lead`: the newest value of each field."
    )
    updated_at: datetime


class CallPage(BaseModel):
    calls: list[CallOut]
    next: str | None = Field(description="`cursor` of the next page; null on the last page.")


class CallDetails(BaseModel):
    call: CallOut
    utterances: list[UtteranceOut] = Field(description="The utterances in the order of the call, stream after stream.")
    replies: list[ReplyOut] = Field(description="The agent's replies, stream after stream.")
    tool_calls: list[ToolCallOut] = Field(description="The agent's calls of tools, stream after stream.")
    conversation: list[ConversationEntry] = Field(
        description="All of these in the order in which they began, stream after stream."
    )
    complete: bool = Field(
        description="False if one of the lists has more than 5,000 entries, and so not all of them here; the exports "
        "have all."
    )


class LeadPage(BaseModel):
    leads: list[LeadOut]
    next: str | None = Field(description="`cursor` of the next page; null on the last page.")
