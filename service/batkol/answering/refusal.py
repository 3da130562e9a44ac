"""Refusals of answerers over HTTP: a class of refusals, and the classes by status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from batkol.answering.answerer import AnswererError


class Refusal(NamedTuple):
    """A class of refusals: a word for metrics, whether the same request may succeed later, and what to do."""

    reason: str
    retryable: bool
    remedy: str

    def error(self, who: str, shown: str) -> AnswererError:
        """Return the error for an answer; `shown` is what of it may be shown."""
        return AnswererError(
            f"{who} answered {shown}. {self.remedy}", reason=self.reason, retryable=self.retryable, remedy=self.remedy
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusRefusals:
    """Refusals by HTTP status: a status of its own, or its class."""

    own: Mapping[int, Refusal]
    server: Refusal
    """From 500 on."""
    redirect: Refusal
    """From 300 on."""
    request: Refusal
    """From 400 on."""
    success: Refusal
    """Below 300, where there is no answer in it."""

    def of(self, status: int) -> Refusal:
        """Return the refusal of a status."""
        if found := self.own.get(status):
            return found
        if status >= 500:
            return self.server
        if status >= 400:
            return self.request
        return self.redirect if status >= 300 else self.success
