"""Filters of the history API: the parameters of lists and exports."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field

from batkol.store.journal.record import LONGEST_NAME
from batkol.store.postgres.queries import CallFilter
from batkol.store.postgres.schema import SLOW_MS
from batkol.web.schemas import KeptText, StrictModel

_NUMBER: Final = "+972541234567"


def _number(given: str) -> str:
    """Restore a plus that was not escaped in a query and became a space."""
    return "+" + given[1:] if given.startswith(" ") else given


def _moment(given: object) -> object:
    """Parse a time, in UTC, as it is stored; refuse a bare figure, which Pydantic takes for Unix seconds."""
    if not isinstance(given, str):
        return given
    try:
        moment = datetime.fromisoformat(given)
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise ValueError("a time has the form 2026-01-31T12:00:00Z") from None


MomentQuery = Annotated[AwareDatetime, BeforeValidator(_moment)]
Number = Annotated[KeptText, BeforeValidator(lambda given: _number(given) if isinstance(given, str) else given)]


class CallQuery(StrictModel):
    agent: KeptText | None = Field(
        None, max_length=LONGEST_NAME, description="Only calls of this agent.", examples=["reception"]
    )
    number: Number | None = Field(
        None,
        max_length=LONGEST_NAME,
        description="Only calls with this number as the caller's or the called number.",
        examples=[_NUMBER],
    )
    since: MomentQuery | None = Field(
        None,
        alias="from",
        description="Only calls that began at this time or later.",
        examples=["2026-01-31T00:00:00Z"],
    )
    before: MomentQuery | None = Field(
        None, alias="to", description="Only calls that began before this time.", examples=["2026-02-01T00:00:00Z"]
    )
    mode: Literal["streaming", "single"] | None = Field(
        None,
        description="Only calls with this mode: the value of the flag `streaming-stt` when the call began.",
        examples=["streaming"],
    )
    slow_ms: float | None = Field(
        None,
        ge=SLOW_MS,
        le=1e9,
        allow_inf_nan=False,
        description="Only calls with a final of this latency or more, in milliseconds.",
        examples=[1500],
    )
    slow_reply_ms: float | None = Field(
        None,
        ge=1,
        le=1e9,
        allow_inf_nan=False,
        description="Only calls with a reply of this latency or more, in milliseconds.",
        examples=[2000],
    )
    words: KeptText | None = Field(
        None,
        min_length=2,
        max_length=100,
        description="Only calls in which the caller said these words, or heard them. Narrow it by time or agent: no "
        "index has texts.",
        examples=["רופא עור"],
    )

    def to_filter(self) -> CallFilter:
        """Return the filter of the store's queries."""
        return CallFilter(
            agent=self.agent,
            number=self.number,
            since=self.since,
            before=self.before,
            mode=self.mode,
            slow_ms=self.slow_ms,
            slow_reply_ms=self.slow_reply_ms,
            words=self.words,
        )


class LeadQuery(StrictModel):
    agent: KeptText | None = Field(
        None, max_length=LONGEST_NAME, description="Only leads of this agent.", examples=["reception"]
    )
    number: Number | None = Field(
        None, max_length=LONGEST_NAME, description="Only leads with this number.", examples=[_NUMBER]
    )


class PageParameters(BaseModel):
    limit: int = Field(50, ge=1, le=500, description="Most rows in a page.", examples=[50])
    cursor: str | None = Field(
        None, max_length=1000, description="`next` of the page before; omit it for the first page."
    )


class CallPageQuery(CallQuery, PageParameters):
    pass


class LeadPageQuery(LeadQuery, PageParameters):
    pass
