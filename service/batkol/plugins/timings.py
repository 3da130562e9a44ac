"""Times of plug-ins, in seconds. The defaults are for production; tests of a limit wait for a shorter one."""

from __future__ import annotations

from typing import Final, NamedTuple

from batkol.calls.lag import STALL_S


class PluginTimings(NamedTuple):
    """In seconds."""

    look: float = 0.25
    """Between two looks at the plug-ins."""
    blocked: float = 5.0
    """Without an answer of its event loop: then a plug-in counts as blocked."""
    held: float = 10.0
    """For which the events of a plug-in that has begun wait for its first `events()`."""
    stall: float = STALL_S
    """Lateness of the event loop of the calls at which a plug-in that computed meanwhile is named."""
    finish: float = 2.0
    """For the last events, when the service ends."""
    ending: float = 1.0
    """For the end after a cancellation; then the thread is left behind."""


TIMINGS: Final = PluginTimings()
