"""Schemas of the history API for the agent's side of a call: replies, calls of tools, the conversation in its order."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_STREAM_SID = "MZ0f1e2d3c4b5a69788796a5b4c3d2e1f0"


class ReplyOut(BaseModel):
    """A reply of the agent of which the caller heard some sound."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "stream_sid": _STREAM_SID,
                    "reply_id": f"{_STREAM_SID}-r2",
                    "turn": 2,
                    "kind": "answer",
                    "phrase": None,
                    "started_at": "2026-01-31T12:00:09.125000Z",
                    "ended_at": "2026-01-31T12:00:12.250000Z",
                    "intended": "בשמחה. יש תור ביום שני.",
                    "heard": "בשמחה. יש תור",
                    "interrupted": True,
                    "latency_ms": 741.0,
                    "text_ms": 212.5,
                    "first_token_ms": 330.0,
                    "first_piece_ms": 18.0,
                    "first_sound_ms": 121.5,
                    "commit_ms": 59.0,
                    "attempts": 1,
                    "answerer": "openai",
                    "voice": "google",
                    "answerer_variant": "default",
                    "voice_variant": "default",
                    "prompt_tokens": 412,
                    "completion_tokens": 23,
                    "fault": None,
                    "event_id": f"{_STREAM_SID}-31",
                }
            ]
        }
    )

    stream_sid: str
    reply_id: str
    turn: int
    kind: str = Field(description="answer, phrase or announcement.")
    phrase: str | None = Field(description="Which phrase of the agent's own, such as greeting; null for the others.")
    started_at: datetime = Field(description="When its first sound was written.")
    ended_at: datetime | None = Field(
        description="Null while it goes on. It stays null if the pod was killed in the middle of the reply."
    )
    intended: str = Field(description="The whole text; without an end, as far as its playing had begun.")
    heard: str = Field(
        description="The words that the caller heard; without an end, all but the sentence that had begun last."
    )
    interrupted: bool | None = Field(description="Null without an end.")
    latency_ms: float | None = Field(
        description="From the caller's last sample of speech to the first sound; null if the reply answers no speech."
    )
    text_ms: float | None = Field(description="The part of it until the answerer was asked.")
    first_token_ms: float | None
    first_piece_ms: float | None
    first_sound_ms: float | None
    commit_ms: float | None
    attempts: int | None = Field(description="How often an answerer was asked since the reply before.")
    answerer: str | None
    voice: str | None
    answerer_variant: str | None = Field(description="The name of the answerer in the settings.")
    voice_variant: str | None
    prompt_tokens: int | None = Field(description="0 if the answerer does not say.")
    completion_tokens: int | None
    fault: str | None = Field(description="What kept the rest of it from being spoken.")
    event_id: str | None = Field(description="`id` of the event `reply.ended`; null without an end.")


class ToolCallOut(BaseModel):
    """A call of a tool."""

    stream_sid: str
    turn: int = Field(description="The reply that it belongs to.")
    at: datetime
    tool: str = Field(examples=["save_lead"])
    arguments: str = Field(
        description="JSON as the answerer wrote it, which may be none.", examples=['{"name": "דנה לוי"}']
    )
    outcome: str = Field(examples=["done"])
    duration_ms: float
    result: str = Field(
        description="The result as the answerer read it, its first 4,000 characters; empty in calls of older versions.",
        examples=["saved"],
    )
    event_id: str = Field(description="`id` of the event `tool.called`.")


class ConversationEntry(BaseModel):
    """One thing that was said or done."""

    kind: Literal["utterance", "reply", "tool_call"]
    stream_sid: str
    id: str = Field(description="`utterance_id`, `reply_id`, or `event_id` of the call of a tool.")
    at: datetime = Field(description="When it began.")
    text: str | None = Field(description="What the caller said, or heard of the reply; null for a call of a tool.")
