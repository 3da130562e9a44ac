"""The caller's silences and words, as the detector tells them: the times to change streams, and to doubt one."""

from __future__ import annotations

from batkol.recognizers.streaming.stream import Stream


class SpeechWatch:
    """One per session. `now` in seconds of the loop's clock."""

    __slots__ = ("_spoken_since", "quiet_since", "spoken_to")

    def __init__(self, now: float) -> None:
        self.quiet_since: float | None = now
        """Beginning of the silence; None while the caller speaks."""
        self._spoken_since = 0.0
        self.spoken_to = 0
        """The last sample of speech, while the caller is silent."""

    def set_silent(self, now: float, spoken_to: int, *, quiet: bool) -> None:
        """The caller fell silent after that sample, or speaks."""
        if quiet:
            self.quiet_since, self.spoken_to = now, spoken_to
        elif self.quiet_since is not None:
            self.quiet_since = None
            self._spoken_since = now

    def doubts(self, stream: Stream, longest: float) -> bool:
        """Whether the caller has spoken for more than `longest` seconds without an answer of the stream."""
        return self.quiet_since is None and stream.silent_for(self._spoken_since) > longest
