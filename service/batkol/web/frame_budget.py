"""The budget of WebSocket frames of one peer: per second, and per turn of the event loop.

Twilio sends 50 messages a second, and a few keys and marks. After a stall of the network a minute of them may come at
once, and `clear` brings every mark back at once: both pass. What no phone call has is a stream of frames that goes on
at ten times that rate: such a peer is not Twilio, and it takes the loop from the other calls.

Costs are in units: 1 for a whole text message, `ODD_FRAME` for any other frame (a fragment, a ping, a pong, binary),
which Twilio does not send and which take the long way through uvicorn, and 1 for each KiB.
"""

from __future__ import annotations

from typing import Final

TURN: Final = 500
"""Units that are taken before the other connections have their turn: a few milliseconds of the loop."""

AT_ONCE: Final = 20_000
"""Units that may come at once: more than six minutes of a phone call's sound."""

A_SECOND: Final = 500
"""Units that may go on for ever: ten times the rate of Twilio's media."""

ODD_FRAME: Final = 4


class FrameBudget:
    """One connection's units. Asked once in `TURN` of them, so that a frame costs a subtraction."""

    __slots__ = ("_at", "_units")

    def __init__(self, now: float) -> None:
        self._units: float = AT_ONCE
        self._at = now

    def spend(self, units: int, now: float) -> int:
        """Take what the peer has used, and return how many it may use before this is asked again; 0: too many.

        `now` in seconds, of a clock that never goes back.
        """
        self._units = min(AT_ONCE, self._units + (now - self._at) * A_SECOND) - units
        self._at = now
        return TURN if self._units >= 0 else 0
