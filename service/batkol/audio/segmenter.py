"""Speech starts and speech ends, made out of probabilities.

A VAD engine gives each window a probability of speech; a caller breathes, clicks a pen and pauses
inside a sentence. The segmenter starts at speech that lasts, ends at silence that lasts, and reaches back a
little for the first consonant, which an engine scores too low. All in audio time: absolute samples of the call.

Inside an open segment it also reports the first short silence, long before the hang-over is over, speech that goes on
after it, and speech that has lasted: too long for a cough or a mm-hm. An engine goes on hearing speech for about 100 ms
after the sound, so only windows that are loud count for that.

An engine also misses speech: a soft word, or its soft part, may score too low for longer than 200 ms. So a hang-over
that is shorter than `CERTAIN_MS` goes on, up to that, while the audio is loud.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS

LOUD_DB: Final = 12.0
"""A window is loud if its RMS is at most so much below the loudest window so far in its segment."""
_LOUD: Final = 10 ** (-LOUD_DB / 10)  # the same, as a factor of levels

CERTAIN_MS: Final = 480
"""Silence that ends a segment whether the audio is quiet or not: on a noisy line it never is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterSettings:
    """Thresholds and durations of the segmenter; docs/vad.md explains each. Raises `ValueError`."""

    threshold: float = 0.5
    """Probability from which a window is speech."""
    release_threshold: float = 0.35
    """Probability below which speech is over: lower, so that a soft syllable does not end it."""
    minimum_speech_ms: int = 96
    """Speech without a break that starts a segment: three windows of Silero. Shorter is a click."""
    silence_ms: int = 480
    """Silence that ends a segment (hang-over): longer than the pauses between words. Below `CERTAIN_MS` it has to be
    quiet, too."""
    pre_roll_ms: int = 300
    """Time between the start of a segment and its first speech window."""
    quiet_ms: int = 64
    """Silence inside a segment that is reported as quiet: two windows of Silero. Words of one breath are closer."""
    lasting_ms: int = 380
    """Speech, from the segment's first window to its last loud one so far, that has lasted: a real interruption."""

    def __post_init__(self) -> None:
        if not 0 < self.release_threshold <= self.threshold <= 1:
            raise ValueError(
                "the speech thresholds need 0 < release threshold <= threshold <= 1, "
                f"not {self.release_threshold} and {self.threshold}"
            )
        if self.minimum_speech_ms < 0 or self.silence_ms <= 0 or self.pre_roll_ms < 0:
            raise ValueError(
                "minimum speech and pre-roll cannot be negative and the silence that ends speech must be "
                f"positive, not {self.minimum_speech_ms}, {self.pre_roll_ms} and {self.silence_ms} ms"
            )
        if self.quiet_ms <= 0 or self.lasting_ms < 0:
            raise ValueError(
                "the silence that counts as quiet must be positive and the speech that lasts cannot be negative, "
                f"not {self.quiet_ms} and {self.lasting_ms} ms"
            )


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech begins. All in absolute samples."""

    at: int
    """The first sample to listen to: `speech_at` less the pre-roll, never before the previous segment's end."""
    speech_at: int
    """The first sample of the first window of speech."""
    decided_at: int
    """The audio that had to be heard to know."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Speech is over. All in absolute samples."""

    at: int
    """The end of the last window of speech."""
    decided_at: int
    """The audio that had to be heard to know: `at` and the silence after it."""


@dataclass(frozen=True, slots=True)
class SegmentQuiet:
    """The caller is quiet inside an open segment; reported once a silence. All in absolute samples."""

    at: int
    """The end of the last window of speech."""
    decided_at: int
    """The audio that had to be heard to know."""


@dataclass(frozen=True, slots=True)
class SegmentResumed:
    """Speech goes on after a `SegmentQuiet` of the same segment. All in absolute samples."""

    at: int
    """The first sample of the first window of speech after the silence."""
    decided_at: int
    """The audio that had to be heard to know: the end of that window."""


@dataclass(frozen=True, slots=True)
class SegmentLasted:
    """Speech has lasted `lasting_ms`, pauses inside the segment included; reported once a segment. Absolute samples."""

    at: int
    """The end of the last window of speech that was loud."""
    decided_at: int
    """The audio that had to be heard to know: the same sample, unless the start was not known yet, or a setting
    changed.
    """


PauseEvent = SegmentQuiet | SegmentResumed | SegmentLasted
SpeechEvent = SpeechStarted | SpeechEnded | PauseEvent


class Segmenter:
    """Fed windows in order, returns events; starts and ends alternate, beginning with a start.

    Between a start and its end, `SegmentQuiet` and `SegmentResumed` alternate, beginning with a `SegmentQuiet`. The
    silence that ends a segment is without one where the window that makes it quiet is the one that ends it. `settings`
    may be replaced at any time and counts from the next window on.

    `is_loud` says whether the audio before a sample is too loud for a silence; without it no audio is. It is asked once
    a window at most, and only where a segment would end in less than `CERTAIN_MS`.
    """

    __slots__ = (
        "_is_loud",
        "_last_speech_end",
        "_lasted",
        "_levels_to",
        "_loud_end",
        "_loudest",
        "_open",
        "_previous_end",
        "_quiet",
        "_run_start",
        "_sounding",
        "_speech_at",
        "settings",
    )

    def __init__(self, settings: SegmenterSettings, is_loud: Callable[[int], bool] = lambda _: False) -> None:
        self.settings = settings
        self._is_loud = is_loud
        self._open = False
        self._sounding = False  # the previous window was speech: the lower threshold holds
        self._run_start = 0  # where the unbroken run of speech windows began
        self._last_speech_end = 0
        self._previous_end = 0  # of the segment before
        self._speech_at = 0  # of the open segment
        self._quiet = False  # the open segment is quiet, and it was reported
        self._lasted = False  # … has lasted, and it was reported
        self._loudest = 0.0  # level of the loudest window so far in the open segment, or in the run that may open one
        self._levels_to = 0  # where the part of it ends whose levels are known
        self._loud_end = 0  # the end of its last window of speech that was loud

    @property
    def speaking(self) -> bool:
        """Whether a segment is open."""
        return self._open

    def levels_since(self, heard: int, until: int) -> int | None:
        """Return the sample from which on levels are needed to decide on the windows of [heard, until).

        None if they are not: no speech can reach `lasting_ms` there. The windows before `heard` were appended without
        levels; the level of the loudest of them goes to `append_level`, before the windows from `heard` on.
        """
        if self._open and not self._lasted:
            first, since = self._speech_at, self._levels_to
        elif self._sounding and not self._open:
            first, since = self._run_start, self._levels_to
        else:
            first = since = heard
        return None if until - first < self.settings.lasting_ms * SAMPLES_PER_MS else since

    def append_level(self, level: float, until: int) -> None:
        """Take the level of the loudest window before sample `until`, of those that were appended without a level."""
        self._loudest = max(self._loudest, level)
        self._levels_to = until

    def append_score(
        self, probability: float, start: int, end: int, *, level: float | None = None
    ) -> tuple[SpeechEvent, ...]:
        """Take the decision on the window [start, end); a boolean is a probability too.

        `level` is the mean square of the window's amplitudes; a window without one is loud. Windows come in order and
        do not overlap. One that was left out counts as silence.
        """
        if self._sounding and start > self._last_speech_end:
            self._sounding = False
        limit = self.settings.release_threshold if self._sounding else self.settings.threshold
        if probability < limit:
            self._sounding = False
            if level is not None:
                self.append_level(level, end)
            return self._silent_to(end)
        late = self._silent_to(start)  # windows were left out, and with them the quiet, or the end
        if not self._sounding:
            self._sounding = True
            self._run_start = start
            if not self._open:
                self._loudest, self._levels_to = 0.0, start
        self._last_speech_end = end
        if level is not None:
            self.append_level(level, end)
        if level is None or level >= self._loudest * _LOUD:
            self._loud_end = end
        return late + (self._go_on(start, end) if self._open else self._start_by(end))

    def flush(self, at: int) -> tuple[SpeechEvent, ...]:
        """The call ended at sample `at`: end what is open, and forget what was too short to begin."""
        self._sounding = False
        return self._ended(max(at, self._last_speech_end)) if self._open else ()

    def _start_by(self, end: int) -> tuple[SpeechEvent, ...]:
        settings = self.settings
        if end - self._run_start < settings.minimum_speech_ms * SAMPLES_PER_MS:
            return ()
        self._open, self._quiet, self._lasted = True, False, False
        self._speech_at = self._run_start
        at = max(self._run_start - settings.pre_roll_ms * SAMPLES_PER_MS, self._previous_end)
        return (SpeechStarted(at=at, speech_at=self._run_start, decided_at=end), *self._last_to(end))

    def _go_on(self, start: int, end: int) -> tuple[SpeechEvent, ...]:
        if not self._quiet:
            return self._last_to(end)
        self._quiet = False
        return (SegmentResumed(at=start, decided_at=end), *self._last_to(end))

    def _last_to(self, end: int) -> tuple[SpeechEvent, ...]:
        if self._lasted or self._loud_end - self._speech_at < self.settings.lasting_ms * SAMPLES_PER_MS:
            return ()
        self._lasted = True
        return (SegmentLasted(at=self._loud_end, decided_at=end),)

    def _silent_to(self, until: int) -> tuple[SpeechEvent, ...]:
        if not self._open:
            return ()
        silent = until - self._last_speech_end
        if silent >= self.settings.silence_ms * SAMPLES_PER_MS and not self._may_go_on(silent, until):
            return self._ended(until)
        if self._quiet or silent < self.settings.quiet_ms * SAMPLES_PER_MS:
            return ()
        self._quiet = True
        return (SegmentQuiet(at=self._last_speech_end, decided_at=until),)

    def _may_go_on(self, silent: int, until: int) -> bool:
        return silent < CERTAIN_MS * SAMPLES_PER_MS and self._is_loud(until)

    def _ended(self, decided_at: int) -> tuple[SpeechEvent, ...]:
        self._open = False
        self._previous_end = self._last_speech_end
        return (SpeechEnded(at=self._last_speech_end, decided_at=decided_at),)
