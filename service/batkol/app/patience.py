"""How long the service waits for Google, and for a caller, where no setting says it."""

from __future__ import annotations

from dataclasses import dataclass

from batkol.calls.drain import PAUSE_S
from batkol.recognizers.google.options import CLOSE_TIMEOUT, STALL
from batkol.recognizers.google.recognizer import DEADLINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds. The defaults are for production; tests of a limit wait for a shorter one."""

    close: float = CLOSE_TIMEOUT
    """For the last final after a half-close."""
    stall: float = STALL
    """Of speech without an answer, after which a stream is suspect."""
    single: float = DEADLINE
    """For the answer to a single request."""
    pause: float = PAUSE_S
    """For a caller who is speaking when a drain's time is up."""


PRODUCTION = Patience()
