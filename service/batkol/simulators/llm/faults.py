"""Faults of the double of a language model, and which requests they hit."""

from __future__ import annotations

from enum import StrEnum

from batkol.simulators.double_faults import Count, DoubleFault, Seconds, Times
from batkol.simulators.llm.refusals import STATUSES


class LLMFaultKind(StrEnum):
    """The faults."""

    REFUSE = "refuse"  # the request is answered with `status` and OpenAI's JSON for it
    STALL = "stall"  # nothing comes any more, for `lasts_s` or until the client leaves
    EMPTY = "empty"  # an answer without text
    FLOOD = "flood"  # an answer without an end
    NONSENSE = "nonsense"  # a chunk that is no JSON
    CUT = "cut"  # the connection is cut
    ERROR = "error"  # a chunk with an `error`, of `status`
    UNFINISHED = "unfinished"  # the answer ends without a finish_reason and without [DONE]
    FILTERED = "filtered"  # the answer ends with the finish_reason content_filter


class LLMFault(DoubleFault, frozen=True, kw_only=True):
    """One thing that goes wrong. Without `contains` it hits every request for a completion."""

    kind: LLMFaultKind
    after_tokens: Count = 0
    """Tokens of the answer that still come as they should; 0: not even the head of the response does."""
    status: int = 500
    code: str = ""
    """OpenAI's code; empty: the usual one of that status. `insufficient_quota` is another 429."""
    lasts_s: Seconds | None = None
    times: Times | None = None
    """Number of requests that the fault hits before it is over."""
    contains: str = ""
    """The text that the newest message must contain."""

    def __post_init__(self) -> None:
        """See `DoubleFault`; and the values of its own fields."""
        super().__post_init__()
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status} is none to refuse with; use one of {', '.join(map(str, STATUSES))}")
