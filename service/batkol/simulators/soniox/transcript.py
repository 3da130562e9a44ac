"""The tokens of one session: which are final, which were shown, and when the next message about them is due.

A final token is sent once. Every message repeats all tokens that are not final, as they are understood by then: the
newest word may be another one each time. Pure: samples of the session's audio, and `now` in seconds.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.simulators.soniox.tokens import HeardToken, Tokenizer, another_word, as_json, marker, to_ms
from batkol.simulators.soniox.untidy import SonioxUntidiness
from batkol.simulators.voice.recognizer import GARBLE
from batkol.voices.marked.voice import SpokenWord


class _Look(NamedTuple):
    """The tokens at one moment; they are shown a little later."""

    due: float
    tokens: tuple[HeardToken, ...]
    position: int


class SonioxTranscript:
    """One per session."""

    def __init__(self, settings: SonioxDoubleSettings, draw: random.Random) -> None:
        self._settings = settings
        self._draw = draw
        self._tokenizer = Tokenizer(settings)
        self._untidy = SonioxUntidiness(settings, draw) if settings.untidy else None
        self._tokens: list[HeardToken] = []  # of whole words
        self._final = 0  # of these
        self._settled_until = 0
        self._shown: tuple[HeardToken, ...] = ()
        self._position = 0  # of the newest message
        self._looks: deque[_Look] = deque()
        self._noticed: tuple[int, str] = (0, "")
        self._shown_at = -math.inf
        self.words: list[SpokenWord] = []
        """All words that were heard."""
        self.language: str | None = None
        """The language that each token names, if tokens name one."""

    @property
    def count(self) -> int:
        """Tokens of whole words."""
        return len(self._tokens)

    @property
    def spoken_until(self) -> int:
        """The end of the last word."""
        return self.words[-1].end if self.words else 0

    @property
    def due(self) -> float:
        """Time at which `show` has something; infinity if never."""
        if not self._looks:
            return math.inf
        return max(self._looks[0].due, self._shown_at + self._settings.interim_every_ms / 1000)

    def append(self, words: Sequence[SpokenWord]) -> None:
        """Take words that were heard."""
        for word in words:
            self._tokens += self._tokenizer.tokens(word, first=not self.words)
            self.words.append(word)

    def notice(self, begun: SpokenWord | None, position: int, now: float) -> None:
        """Look at what is there at sample `position`: the whole words, and the one that has begun."""
        noticed = (len(self.words), begun.text if begun is not None else "")
        newest = self._looks[-1].position if self._looks else self._position
        if noticed == self._noticed and position - newest < self._settings.progress_every_ms * SAMPLES_PER_MS:
            return
        self._noticed = noticed
        tokens = self._tokens[self._final :]
        if begun is not None:
            begun = another_word(begun, self._draw) if self._draw.random() < self._settings.revised else begun
            tokens += self._tokenizer.tokens(begun, first=not self.words)
        self._looks.append(_Look(now + self._settings.interim_latency_ms / 1000, tuple(tokens), position))

    def count_until(self, sample: int) -> int:
        """Return how many tokens end by a sample, or 0 if all of those are final."""
        count = self._final
        while count < len(self._tokens) and self._tokens[count].end <= sample:
            count += 1
        return count if count > self._final else 0

    def settle(self, count: int, position: int, mark: str) -> list[dict[str, Any]]:
        """Make so many tokens final, in all; return the message that says so, if there is anything to say."""
        fresh = self._tokens[self._final : count]
        if not fresh and not mark:
            return []
        self._final = max(self._final, count)
        if fresh:
            self._settled_until = fresh[-1].end
        if mark:
            self._settled_until = max(self._settled_until, position)
        tokens = as_json(fresh, final=True, language=self.language)
        if mark and fresh and self._settings.punctuates and fresh[-1].text != GARBLE:
            stop = HeardToken(".", fresh[-1].end, fresh[-1].end)
            tokens += as_json((stop,), final=True, language=self.language)
        if mark:
            tokens.append(marker(mark))
        return [self._message(tokens, position)]

    def show(self, now: float) -> list[dict[str, Any]]:
        """Return the message with what is not final. Only the newest look that is due counts."""
        while len(self._looks) > 1 and self._looks[1].due <= now:
            self._looks.popleft()
        look = self._looks.popleft()
        self._shown, self._shown_at = look.tokens, now
        return [self._message([], look.position)]

    def last(self, samples: int) -> dict[str, Any]:
        """Return a session's last message."""
        return {
            "tokens": [],
            "final_audio_proc_ms": samples // SAMPLES_PER_MS,
            "total_audio_proc_ms": samples // SAMPLES_PER_MS,
            "finished": True,
        }

    def _message(self, tokens: list[dict[str, Any]], position: int) -> dict[str, Any]:
        self._position = max(self._position, position)
        whole = [token for token in self._tokens[self._final :] if token.end <= position]
        known_until = whole[-1].end if whole else self._settled_until
        open_ones = whole + [token for token in self._shown if token.start >= known_until]
        rest = as_json(open_ones, final=False, language=self.language)
        if self._untidy is not None:
            texts = self._untidy.change([token["text"] for token in rest])
            rest = [token | {"text": text} for token, text in zip(rest, texts, strict=True) if text]
            self._untidy.misdate([*tokens, *rest])
        return {
            "tokens": tokens + rest,
            "final_audio_proc_ms": to_ms(self._settled_until),
            "total_audio_proc_ms": to_ms(self._position),
        }
