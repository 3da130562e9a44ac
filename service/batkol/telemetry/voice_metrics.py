"""Metrics of the voices: where another voice spoke in the place of one that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from batkol.telemetry.instruments import Counts


class VoiceCounts:
    """Counters of the voices."""

    def __init__(self, counts: Callable[[str, str, str], Counts]) -> None:
        self._switches = counts(
            "batkol.voice.switches",
            "{reply}",
            "Replies that the voice behind another one spoke, or continued, by the voice that failed and the reason.",
        )

    def begin_at_zero(self, voice: str, reasons: Iterable[str]) -> None:
        """Show the series of a voice before it fails."""
        for reason in reasons:
            self._switches.add(0, {"voice": voice, "reason": reason})

    def switched(self, voice: str, reason: str) -> None:
        """The voice failed, and another one speaks."""
        self._switches.add(1, {"voice": voice, "reason": reason})
