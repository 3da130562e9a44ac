"""The writer's statements for the agent's side of calls. Repeated, in any order, they have the same result."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import case, func, or_

from batkol.store.postgres.schema import replies, tool_calls
from batkol.store.postgres.statements import upsert

_KEY: Final = ("call_sid", "stream_sid", "reply_id")
_BEGUN: Final = (*_KEY, "turn", "kind", "phrase", "started_at", "intended", "heard", "latency_ms")
_OVER: Final = (
    *_BEGUN, "ended_at", "interrupted", "text_ms", "first_token_ms", "first_piece_ms", "first_sound_ms", "commit_ms",
    "attempts", "answerer", "voice", "answerer_variant", "voice_variant", "prompt_tokens", "completion_tokens", "fault",
    "seq",
)  # fmt: skip
_OF_TOOLS: Final = (
    "call_sid",
    "stream_sid",
    "seq",
    "turn",
    "at",
    "name",
    "arguments",
    "outcome",
    "duration_ms",
    "result",
)


def _save_progress() -> Any:
    """Lengthen what was heard of a reply; one whose end is known stays as it is."""
    statement = upsert(replies, _BEGUN)
    new = statement.excluded
    longer = {name: func.char_length(new[name]) > func.char_length(replies.c[name]) for name in ("intended", "heard")}
    return statement.on_conflict_do_update(
        index_elements=[replies.c[name] for name in _KEY],
        set_={name: case((is_longer, new[name]), else_=replies.c[name]) for name, is_longer in longer.items()},
        where=replies.c.seq.is_(None) & or_(*longer.values()),
    )


def _save_replies() -> Any:
    statement = upsert(replies, _OVER)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[replies.c[name] for name in _KEY],
        set_={name: new[name] for name in _OVER if name not in _KEY},
        where=func.coalesce(replies.c.seq, -1) < new.seq,
    )


SAVE_PROGRESS: Final = _save_progress()
SAVE_REPLIES: Final = _save_replies()
SAVE_TOOL_CALLS: Final = upsert(tool_calls, _OF_TOOLS).on_conflict_do_nothing()
