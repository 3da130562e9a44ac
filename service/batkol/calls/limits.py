"""Limits of the audio of a call."""

from __future__ import annotations

from typing import Final

from batkol.audio.mulaw import SAMPLE_RATE
from batkol.speech.utterances import LONGEST

HELD: Final = LONGEST + 10 * SAMPLE_RATE
"""Samples the ring can hold: the longest utterance, and what surrounds it."""

HOLD_S: Final = 3.0
"""Seconds without media after which silence goes on in its place, by the wall clock.

Google ends a stream after about 10 s without audio. Most stalls of the network are shorter: silence in a word costs it.
"""

ECHO_S: Final = 1.0
"""Seconds after the last sound in which a mark's echo, or a caller who interrupts, may still be on the way."""
