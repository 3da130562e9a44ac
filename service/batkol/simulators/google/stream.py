"""One StreamingRecognize call as Google plays it: requests and `now` in, responses out, `deadline` offered.

Pure: no task, no clock. A refusal is raised from whatever brought it about.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from batkol.audio import mulaw
from batkol.audio.mulaw import SAMPLE_RATE, SAMPLES_PER_MS
from batkol.simulators.google import rules
from batkol.simulators.google.answers import Response, add_final, add_interims, bill, glimpse, status_inside, word_times
from batkol.simulators.google.faults import Fault, Kind, Moment
from batkol.simulators.google.finals import FinalPortion, FinalPortions
from batkol.simulators.google.mishearing import StreamMishearing
from batkol.simulators.google.rules import RefusalError
from batkol.simulators.google.settings import DoubleSettings
from batkol.simulators.google.untidy import Untidiness
from batkol.simulators.voice.recognizer import WordRecognizer
from batkol.voices.marked.voice import SpokenWord, word_samples

_FOREVER = math.inf


class _Armed(NamedTuple):
    fault: Fault
    since: float
    samples: int


class _Glance(NamedTuple):
    """The words known at one moment; they become an interim a little later."""

    due: float
    words: tuple[SpokenWord, ...]
    position: int


class StreamRecognizer:
    """Listens to one stream. Times are seconds of any monotonic clock; `draw` is for what is untidy, if anything is."""

    def __init__(
        self,
        settings: DoubleSettings,
        *,
        latency: Callable[[], float],
        now: float,
        draw: random.Random | None = None,
        mishearing: StreamMishearing | None = None,
    ) -> None:
        self._settings = settings
        self._mishearing = mishearing
        self._latency = latency
        self._opened = self._audio_at = now
        self._sample_bytes = 0  # 0 until configured
        self._interims = self._offsets = False
        self._hearing = WordRecognizer(edges=settings.hears_edges)
        self._portions = FinalPortions(settings, self._draw)
        self._armed: list[_Armed] = []
        self._stalled = self._silent = False
        self._slow_s: float | None = None
        self._copies = 1
        self._parting: Any = None  # the response with the reason why there are no more
        self._parted = False
        self._backlog_s = 0.0
        self._glances: deque[_Glance] = deque()
        self._noticed: tuple[int, str] = (0, "")
        self._noticed_at = 0
        self._untidy = Untidiness(settings, draw or random.Random(settings.seed)) if settings.untidy else None
        self._shown: _Glance | None = None
        self._interim_at = -_FOREVER
        self._settled_until = 0
        self._spoken_until = 0  # the end of the last final's last word, by its times
        self._undated = self._bare = False
        self._finals = 0
        self._half_closed = False
        self.samples = 0
        """Samples received."""
        self.words: list[SpokenWord] = []
        """All words that the recognizer found."""

    def _draw(self) -> float:
        return self._latency() if self._slow_s is None else self._slow_s

    # What comes in

    def arm(self, faults: Sequence[Fault], now: float) -> None:
        """Let these faults befall the stream; they strike in their moment, counted from now."""
        self._armed += [_Armed(fault, now, self.samples) for fault in faults]

    def open(self, now: float) -> None:
        """The stream has opened. Raises `RefusalError` if a fault refuses it."""
        self._strike(Moment.OPEN, now)

    def receive(self, request: Any, now: float) -> None:
        """Take a raw `StreamingRecognizeRequest`. Raises `RefusalError`."""
        kind = request.WhichOneof("streaming_request")
        if not self._sample_bytes:
            if kind != "streaming_config":
                raise rules.invalid(rules.MALORDERED)
            config = request.streaming_config
            self._sample_bytes = rules.check_streaming(config, self._settings)
            self._interims = config.interim_results
            self._offsets = config.config.enable_word_time_offsets
        elif kind == "streaming_config":
            raise rules.invalid(rules.MALORDERED)
        elif kind is None or not request.audio_content:
            raise rules.invalid(rules.MALORDERED_AUDIO)
        else:
            self._receive_audio(request.audio_content, now)

    def _receive_audio(self, content: bytes, now: float) -> None:
        if len(content) > self._settings.max_message_bytes:
            raise rules.invalid(rules.CHUNK_TOO_LONG)
        if not self.samples:
            self._strike(Moment.FIRST_AUDIO, now)
        self._pace(len(content) / self._sample_bytes / SAMPLE_RATE, now)
        self._audio_at = now
        linear16 = content if self._sample_bytes == 2 else mulaw.decode_to_bytes(content)
        self.samples += len(linear16) // 2
        self._portions.arrived(self.samples, now)
        self._strike(Moment.AUDIO, now)
        self._append_words(self._hearing.feed(linear16), now)

    def _pace(self, audio_s: float, now: float) -> None:
        factor = self._settings.pacing_factor
        if not factor:
            return
        self._backlog_s = max(0.0, self._backlog_s - factor * (now - self._audio_at)) + audio_s
        if self._backlog_s > self._settings.pacing_burst_s:
            raise RefusalError(grpc.StatusCode[self._settings.pacing_status], rules.TOO_FAST)

    def _append_words(self, words: list[SpokenWord], now: float) -> None:
        self.words += words
        if self._mishearing is not None:
            words = self._mishearing.change(words)
        if self._silent or self._stalled:
            return
        self._portions.append_words(words, self._hearing.quiet_until, now)
        if self._interims:
            self._notice(now)

    def _notice(self, now: float) -> None:
        words = tuple(self._portions.unsettled)
        begun = self._hearing.underway()
        if begun is not None:
            words += (glimpse(begun, word_samples(begun.text)),)
        noticed = (len(self.words), words[-1].text if words else "")
        position, untidy = self._hearing.position, self._untidy
        again = untidy is not None and untidy.says_again(self._noticed_at, position)
        if not words or (noticed == self._noticed and not again):
            return
        self._noticed, self._noticed_at = noticed, position
        due = now + self._settings.interim_latency_ms / 1000
        if untidy is not None:
            words, due = untidy.change(words, position), due + untidy.lateness_s()
        self._glances.append(_Glance(due, words, position))

    def half_close(self, now: float) -> None:
        """The client has sent all it has. Raises `RefusalError` if a fault strikes."""
        self._strike(Moment.HALF_CLOSE, now)
        if not self._sample_bytes:
            raise rules.invalid(rules.MALORDERED)
        self._half_closed = True
        self._glances.clear()
        self._append_words(self._hearing.finish(), now)
        wait = self._settings.half_close_latency_s if self._slow_s is None else self._slow_s
        self._portions.finish(self.samples, now + wait)

    # What goes wrong

    def _strike(self, moment: Moment, now: float) -> None:
        for armed in [armed for armed in self._armed if armed.fault.when is moment]:
            if moment is Moment.ELAPSED and now < armed.since + armed.fault.seconds:
                continue
            if moment is Moment.AUDIO and self.samples - armed.samples < armed.fault.seconds * SAMPLE_RATE:
                continue
            self._armed.remove(armed)
            self._suffer(armed.fault)

    def _suffer(self, fault: Fault) -> None:
        match fault.kind:
            case Kind.END:
                raise fault.error
            case Kind.STALL:
                self._stalled = True
            case Kind.SILENCE:
                self._silent = True
            case Kind.SLOW_FINALS:
                self._slow_s = fault.latency_s
            case Kind.REPEATED_FINALS:
                self._copies = 1 + fault.repeats
            case Kind.MERGED_FINALS:
                self._portions.merge(fault.utterances)
            case Kind.UNDATED_FINALS:
                self._undated, self._bare = True, fault.bare
            case Kind.HELD_FINALS:
                self._portions.merge(math.inf)
            case Kind.STATUS:
                self._parting = status_inside(fault.error)

    # What goes out

    @property
    def finished(self) -> bool:
        """Whether the client has closed and everything has been answered."""
        if self._parted:
            return True
        return self._half_closed and not self._stalled and self._portions.due is None

    @property
    def deadline(self) -> float:
        """Time at which `tick` must run next; infinity if never."""
        if self._parting is not None:
            return -_FOREVER
        if self._stalled:
            return _FOREVER
        limits = [self._opened + self._settings.stream_limit_s]
        if not self._half_closed:
            limits.append(self._audio_at + self._settings.no_audio_s)
        limits += [a.since + a.fault.seconds for a in self._armed if a.fault.when is Moment.ELAPSED]
        if (due := self._portions.due) is not None:
            limits.append(due)
        if self._glances:
            limits.append(self._interim_due())
        return min(limits)

    def _interim_due(self) -> float:
        return max(self._glances[0].due, self._interim_at + self._settings.interim_every_ms / 1000)

    def tick(self, now: float) -> list[Any]:
        """Return the raw responses that are due. Raises `RefusalError` at a limit, or if a fault strikes."""
        self._strike(Moment.ELAPSED, now)
        if self._parting is not None:
            self._parted = True
            return [self._parting]
        if self._stalled:
            return []
        if now >= self._opened + self._settings.stream_limit_s:
            raise RefusalError(grpc.StatusCode.OUT_OF_RANGE, rules.STREAM_LIMIT)
        if not self._half_closed and now >= self._audio_at + self._settings.no_audio_s:
            raise RefusalError(grpc.StatusCode.OUT_OF_RANGE, rules.NO_AUDIO)
        responses = [response for portion in self._portions.settle(now) for response in self._final(portion)]
        if responses and self.finished:
            bill(responses[-1], self.samples)
        if self._glances and self._interim_due() <= now:
            while len(self._glances) > 1 and self._glances[1].due <= now:
                self._glances.popleft()
            self._shown, self._interim_at = self._glances.popleft(), now
            response = Response()
            self._append_interims(response)
            responses += [response] if response.results else []
        return responses

    def _final(self, portion: FinalPortion) -> list[Any]:
        response = Response()
        result = response.results.add(is_final=True)
        add_final(result, portion.words, portion.end, first=not self._finals, times=self._times(portion))
        if self._undated:
            result.ClearField("result_end_time")
        self._finals += 1
        self._settled_until = portion.end
        self._append_interims(response)
        copies = [Response() for _ in range(self._copies)]
        for copy in copies:
            copy.CopyFrom(response)
        return copies

    def _times(self, portion: FinalPortion) -> list[SpokenWord]:
        if not self._offsets or self._bare:
            return []
        times = word_times(portion.words, self._spoken_until if self._settings.first_word_takes_pause else None)
        self._spoken_until = times[-1].end
        return times

    def _append_interims(self, response: Any) -> None:
        if self._shown is None or self._half_closed:
            return
        words = [word for word in self._shown.words if word.start >= self._settled_until]
        stable = self._shown.position - self._settings.stable_after_ms * SAMPLES_PER_MS
        add_interims(response.results, words, self._shown.position, stable, first=not self._finals)
