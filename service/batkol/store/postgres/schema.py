"""The tables. Times are UTC (`timestamptz`); what was measured in audio is in ms of audio.

A call has one row however often its stream is handed to another pod; each of its streams (one WebSocket each) numbers
its utterances from 0, so an utterance is known by call, stream and index. `seq` is the number of the event that a value
came from, within its stream: a replay of an older one changes nothing.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Sequence,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from batkol.store.postgres.outbox_tables import outbox, sink_letters, sink_streams, sinks
from batkol.store.postgres.tables import TIME, metadata

SLOW_MS: Final = 1000
"""Milliseconds from which a final is slow enough to be looked for: the indexes of slow finals begin here."""

__all__ = [
    "SLOW_MS", "call_statuses", "calls", "corrections", "erasure_numbers", "erasures", "events", "journals", "leads",
    "metadata", "outbox", "replies", "sink_letters", "sink_streams", "sinks", "summaries", "tool_calls", "utterances",
]  # fmt: skip


def _call() -> Column[str]:
    return Column("call_sid", Text, ForeignKey("calls.call_sid", ondelete="CASCADE"), primary_key=True)


calls = Table(
    "calls",
    metadata,
    Column("call_sid", Text, primary_key=True),
    Column("account_sid", Text, nullable=False),
    Column("stream_sid", Text, nullable=False, comment="the newest stream"),
    Column("stream_sids", ARRAY(Text), nullable=False, comment="all of them, as they became known"),
    Column("agent", Text, nullable=False),
    Column("caller_number", Text, nullable=False, comment="empty when erased, or never given"),
    Column("called_number", Text, nullable=False),
    Column("direction", Text, nullable=False),
    Column("started_at", TIME, nullable=False, comment="of the first stream"),
    Column("stream_started_at", TIME, nullable=False, comment="of the newest stream"),
    Column("ended_at", TIME, comment="of the newest stream; null while it lives"),
    Column("end_reason", Text, comment="the stream's own, or Twilio's status, or lost"),
    Column("duration_s", Integer, comment="of the whole call, as Twilio counted it; null where Twilio did not say"),
    Column("mode", Text, comment="streaming | single: what the flag said when the call began"),
    Column("pod", Text, nullable=False, comment="of the newest stream"),
    Column("slowest_final_ms", Float, comment="over its utterances"),
    Column("figures", JSONB, nullable=False, comment="what each stream amounted to, by stream SID"),
    Column("erased_at", TIME),
    Column("updated_at", TIME, nullable=False, server_default=func.now()),
    Index("calls_by_time", "started_at", "call_sid"),
    Index("calls_by_agent", "agent", "started_at", "call_sid"),
    Index("calls_by_caller", "caller_number", "started_at", "call_sid"),
    Index("calls_by_called", "called_number", "started_at", "call_sid"),
    Index("calls_by_mode", "mode", "started_at", "call_sid"),
    Index("calls_open", "updated_at", postgresql_where=text("ended_at IS NULL")),
    Index("calls_erased", "erased_at", postgresql_where=text("erased_at IS NOT NULL")),
    Index("calls_ended", "agent", "updated_at", postgresql_where=text("ended_at IS NOT NULL")),
    Index("calls_slow", "started_at", "call_sid", postgresql_where=text(f"slowest_final_ms >= {SLOW_MS}")),
)

utterances = Table(
    "utterances",
    metadata,
    _call(),
    Column("stream_sid", Text, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("utterance_id", Text, nullable=False),
    Column("started_at", TIME, nullable=False),
    Column("begin_ms", Integer, comment="audio, from the stream's first sample"),
    Column("end_ms", Integer),
    Column("text", Text, comment="the final; null where only its revision is known"),
    Column("revised_text", Text, comment="what corrects the final; empty where its words were taken back"),
    Column("source", Text, comment="final | interim | single | whisper | none"),
    Column("recognizer", Text, comment="the streaming one that gave the text; null where another source did"),
    Column("mode", Text),
    Column("words", Integer),
    Column("partials", Integer),
    Column("first_partial_ms", Float, comment="from the first sample of speech"),
    Column("final_ms", Float, comment="from the last sample of speech"),
    Column("revised_ms", Float, comment="from the last sample of speech"),
    Column("trace_id", Text),
    Column("unvoiced", Boolean, comment="no speech was detected in its audio; null: not known"),
    Column("unconfirmed", Boolean, comment="another recognizer made out no word of the final"),
    Column("revised_unconfirmed", Boolean, comment="the same of the revision, which then repeats the final"),
    Column("seq", Integer, comment="the event that the final came from"),
    Column("revised_seq", Integer),
    Index("utterances_slow", "started_at", "call_sid", postgresql_where=text(f"final_ms >= {SLOW_MS}")),
)

corrections = Table(
    "corrections",
    metadata,
    Column("call_sid", Text, primary_key=True),
    Column("stream_sid", Text, primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False, comment="what was said, as a person heard it; empty where nothing was"),
    Column("corrected_by", Text, nullable=False, comment="the name of a token, or of a user of the command line"),
    Column("corrected_at", TIME, nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["call_sid", "stream_sid", "index"],
        ["utterances.call_sid", "utterances.stream_sid", "utterances.index"],
        name="corrections_call_sid_fkey",
        ondelete="CASCADE",
    ),
    comment="What a person says was said in an utterance",
)

replies = Table(
    "replies",
    metadata,
    _call(),
    Column("stream_sid", Text, primary_key=True),
    Column("reply_id", Text, primary_key=True),
    Column("turn", Integer, nullable=False, comment="of the replies that were heard in its stream, from 1"),
    Column("kind", Text, nullable=False, comment="answer | phrase | announcement"),
    Column("phrase", Text, comment="which phrase of the agent's own"),
    Column("started_at", TIME, nullable=False, comment="its first sound was written"),
    Column("ended_at", TIME, comment="null where its end is not known: the pod was killed"),
    Column("intended", Text, nullable=False),
    Column(
        "heard", Text, nullable=False, comment="what the caller heard; without an end all but the last sentence begun"
    ),
    Column("interrupted", Boolean),
    Column(
        "latency_ms",
        Float,
        comment="from the caller's last sample of speech to its first sound; the others are parts of it",
    ),
    Column("text_ms", Float),
    Column("first_token_ms", Float),
    Column("first_piece_ms", Float),
    Column("first_sound_ms", Float),
    Column("commit_ms", Float),
    Column("attempts", Integer),
    Column("answerer", Text),
    Column("voice", Text),
    Column("answerer_variant", Text),
    Column("voice_variant", Text),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("fault", Text),
    Column("seq", Integer, comment="the event of its end"),
)

tool_calls = Table(
    "tool_calls",
    metadata,
    _call(),
    Column("stream_sid", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("turn", Integer, nullable=False),
    Column("at", TIME, nullable=False),
    Column("name", Text, nullable=False),
    Column("arguments", Text, nullable=False, comment="JSON as the answerer wrote it, which may be none"),
    Column("outcome", Text, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("result", Text, nullable=False, server_default="", comment="what the answerer was told of it"),
)

summaries = Table(
    "summaries",
    metadata,
    _call(),
    Column("agent", Text, nullable=False),
    Column("state", Text, nullable=False, comment="waiting | done | given_up"),
    Column("text", Text, comment="null until it is made"),
    Column("reason", Text, comment="why the last attempt failed, or why there is none"),
    Column("attempts", Integer, nullable=False, comment="that were begun"),
    Column(
        "due_at",
        TIME,
        nullable=False,
        comment="of the next attempt; while one is under way, when it counts as lost",
    ),
    Column("of_end", TIME, nullable=False, comment="the end of the call that it is of"),
    Column("updated_at", TIME, nullable=False, server_default=func.now()),
    Index("summaries_waiting", "agent", "due_at", postgresql_where=text("state = 'waiting'")),
)

leads = Table(
    "leads",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("agent", Text, nullable=False),
    Column("caller_number", Text, nullable=False),
    Column("first_call_at", TIME, nullable=False),
    Column("last_call_at", TIME, nullable=False),
    Column("last_call_sid", Text, nullable=False, comment="a call that may have been deleted since"),
    Column("calls", Integer, nullable=False),
    Column("name", Text),
    Column("notes", Text),
    Column("last_summary", Text),
    Column(
        "fields",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="what agents saved, by name: the value, and the event that it came from",
    ),
    Column("updated_at", TIME, nullable=False, server_default=func.now()),
    UniqueConstraint("agent", "caller_number", name="leads_by_number"),
    Index("leads_by_caller", "caller_number"),
    Index("leads_by_agent", "agent", "last_call_at", "id"),
    Index("leads_by_time", "last_call_at", "id"),
)

events = Table(
    "events",
    metadata,
    _call(),
    Column("stream_sid", Text, primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at", TIME, nullable=False),
    Column("kind", Text, nullable=False, comment="call.started | revised | call.ended"),
    Column("pod", Text, nullable=False),
    Column("detail", JSONB, nullable=False, comment="never what was said, and no number"),
)

call_statuses = Table(
    "call_statuses",
    metadata,
    Column("call_sid", Text, primary_key=True, comment="of a call that may be unknown here, or known later"),
    Column("account_sid", Text, nullable=False),
    Column("status", Text, nullable=False, comment="completed | busy | failed | no-answer | canceled"),
    Column("ended_at", TIME, nullable=False, comment="by Twilio's clock"),
    Column("duration_s", Integer, comment="as Twilio counts it"),
    Column("told_at", TIME, nullable=False, server_default=func.now()),
    Index("call_statuses_by_time", "told_at"),
    comment="The ends of calls as Twilio's status callback told them",
)

erasures = Table(
    "erasures",
    metadata,
    Column("digest", LargeBinary, primary_key=True, comment="SHA-256 of the number"),
    Column("erased_at", TIME, nullable=False),
    Column(
        "number",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="its place among all erasures; 0: by its time, which a version without numbers wrote",
    ),
    Index("erasures_by_time", "erased_at"),
    comment="Numbers whose records, where a pod's journal still has them, are not to come back",
)

erasure_numbers = Sequence("erasure_numbers", metadata=metadata, data_type=BigInteger)

journals = Table(
    "journals",
    metadata,
    Column("journal", Text, primary_key=True, comment="the journal's own random name"),
    Column("delivered", BigInteger, nullable=False, comment="records that it has delivered"),
    Column("delivered_at", TIME, nullable=False, server_default=func.now()),
    comment="What each pod's journal has delivered: less than it knows of is a database that went back in time",
)
