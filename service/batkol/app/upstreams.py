"""The newest answers of the servers behind the agent: answerers, voices and Twilio's REST API.

Each request of a call, and the warm-up at the start, says what it came to. A refusal (a wrong key, an unknown model, no
credit) is met by every call, so it is one line of the log, with the server's answer and the remedy, and not one a turn;
and it is in `/v1/status` until the server answers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import structlog

from batkol.errors import UpstreamError
from batkol.status import UpstreamStatus
from batkol.transcription.vendor_check import CheckState
from batkol.web.log_limit import LogLimit

AGAIN_S: Final = 60.0
"""A server that answers now and then does not fill the log: the same reason is one line in so many seconds."""

IN_A_ROW: Final = 3
"""Failures in a row from which one that may pass is worth a line: each turn has one of its own. Of a server that has
never answered, such as one at the start, the first is."""

_GRAVE: Final = frozenset({"credentials", "forbidden", "not_found", "quota", "redirect", "refused", "unauthorized"})
"""Reasons that the next request meets, too."""

log = structlog.get_logger()


class UpstreamLines(NamedTuple):
    """The lines of the log about a kind of server."""

    what: str
    """The key of its name."""
    refused: str
    unanswered: str
    recovered: str
    of_the_request: frozenset[str] = frozenset()
    """Reasons that say nothing about the next request."""


ANSWERER: Final = UpstreamLines(
    "answerer",
    "[AGENT] the answerer cannot be used; until it can, callers hear the one behind it, or the apology",
    "[AGENT] the answerer does not answer; each turn asks it again",
    "[AGENT] the answerer answers again",
    frozenset({"content_filter", "too_large", "too_long"}),
)
VOICE: Final = UpstreamLines(
    "voice",
    "[VOICE] the voice cannot be used; until it can, callers hear the voice behind it, or stored phrases",
    "[VOICE] the voice does not answer; each reply asks it again",
    "[VOICE] the voice speaks again",
    frozenset({"too_long", "silent", "no_input", "no_session_free"}),
)
STREAMS: Final = UpstreamLines(
    "account",
    "[TWILIO] Twilio's REST API cannot be asked; until it can, streams of your own TwiML without STREAM_SECRET are "
    "refused",
    "[TWILIO] Twilio's REST API does not answer; each stream of your own TwiML asks it again",
    "[TWILIO] Twilio's REST API answers again",
)
CALLS: Final = UpstreamLines(
    "account",
    "[TWILIO] Twilio's REST API cannot be asked; until it can, the service cannot transfer calls, and it hangs up by "
    "closing the stream",
    "[TWILIO] Twilio's REST API does not answer; each hang-up and transfer asks it again",
    "[TWILIO] Twilio's REST API answers again",
    frozenset({"refused"}),
)


class Upstream:
    """One server. Call it with what a request came to: an error, or None for an answer."""

    def __init__(self, lines: UpstreamLines, name: str = "", where: str = "") -> None:
        """`where`: the sentence that says which settings the server has."""
        self._lines = lines
        self._named = {lines.what: name} if name else {}
        self._where = where
        self._status = UpstreamStatus(state=CheckState.NOT_ASKED)
        self._limit = LogLimit(AGAIN_S)
        self._failures = 0
        """In a row."""
        self._has_answered = False
        self._noted = False
        """Whether the log has a line about the failure of the moment."""
        self._logged = False
        """Whether the log has a line about a failure, and none about its end."""

    def __call__(self, error: UpstreamError | None) -> None:
        """Take note, and log what is news."""
        if error is None:
            if self._status.state != CheckState.ACCEPTED:
                self._answered()
        elif error.reason not in self._lines.of_the_request:
            self._failed(error)

    @property
    def status(self) -> UpstreamStatus:
        """The newest result."""
        return self._status

    def _answered(self) -> None:
        self._status = UpstreamStatus(state=CheckState.ACCEPTED, since=_wall())
        self._failures, self._has_answered = 0, True
        if self._logged:
            line = self._lines.recovered
            log.info(line, **self._named)
        self._noted = self._logged = False

    def _failed(self, error: UpstreamError) -> None:
        self._failures += 1
        lasting = self._failures >= IN_A_ROW or not self._has_answered
        refused = error.reason in _GRAVE or (self._failures >= IN_A_ROW and not error.retryable)
        state = CheckState.REFUSED if refused else CheckState.NO_ANSWER
        since = self._status.since if state == self._status.state else _wall()
        remedy = " ".join(filter(None, (_sentence(error.remedy), self._where if refused else "")))
        said = str(error).removesuffix(error.remedy).rstrip(" ;")
        is_known = self._noted and (state, error.reason) == (self._status.state, self._status.reason)
        self._status = UpstreamStatus(state=state, since=since, reason=error.reason, said=said, remedy=remedy)
        if is_known:
            return
        self._noted = False
        if not (refused or lasting):
            return
        # A line that the limit leaves out is written by a later failure: an outage after another one may last.
        self._noted = self._limit.admit(error.reason, asyncio.get_running_loop().time()) is not None
        if self._noted:
            self._logged = True
            line, write = (self._lines.refused, log.error) if refused else (self._lines.unanswered, log.warning)
            write(line, **self._named, reason=error.reason, said=said, remedy=remedy)


class Upstreams:
    """All of the process, by their names."""

    def __init__(self) -> None:
        self.answerers: dict[str, Upstream] = {}
        self.voices: dict[str, Upstream] = {}
        self.twilio_streams = Upstream(STREAMS)
        self.twilio_calls = Upstream(CALLS)

    def answerer(self, name: str, where: str) -> Upstream:
        """Return the one that takes note of an answerer."""
        return self.answerers.setdefault(name, Upstream(ANSWERER, name, where))

    def voice(self, name: str, where: str) -> Upstream:
        """Return the one that takes note of a voice."""
        return self.voices.setdefault(name, Upstream(VOICE, name, where))

    @property
    def twilio(self) -> UpstreamStatus:
        """Twilio's REST API: of the two that ask it, the one with a fault, or the one that was asked."""
        found = (self.twilio_calls.status, self.twilio_streams.status)
        order = (CheckState.REFUSED, CheckState.NO_ANSWER, CheckState.ACCEPTED, CheckState.NOT_ASKED)
        return min(found, key=lambda status: order.index(CheckState(status.state)))

    def refused(self) -> Iterator[str]:
        """Yield a few words for each server that refuses the service, for the readiness."""
        kinds: tuple[tuple[str, Mapping[str, Upstream]], ...] = (("answerer", self.answerers), ("voice", self.voices))
        for kind, several in kinds:
            for name, upstream in several.items():
                if upstream.status.state == CheckState.REFUSED:
                    yield f"{kind} {name}: {upstream.status.reason}"


def _sentence(clause: str) -> str:
    return f"{clause[:1].upper()}{clause[1:].rstrip('.')}." if clause else ""


def _wall() -> str:
    return datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
