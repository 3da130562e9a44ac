"""Soniox's tokens, joined to words and portions.

A token is a piece of a word, and a word is over when a token that begins with a space follows it, or a marker, or
silence, or when it has as many characters as no word has. A final token is sent once; all that are not final come again
with every message. So a word whose first half is final is held until its second half is: it goes out as an interim, and
then once, whole.

Times are not always in order: a token may end before the one before it, or have no time (livekit/agents, pull request
6976). Audio is committed by time, so a word never lies before what is final already, and a word without a time ends as
long before the next time as its letters take.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.recognizers.soniox.wire import SonioxResponse, SonioxToken
from batkol.speech.results import Portion, Word

MARKERS: Final = frozenset({"<fin>", "<end>"})
"""Tokens that say that everything before them is final."""

LONGEST_WORD: Final = 100
"""Characters after which a word is cut: a script without spaces, or a server without sense, would never end it."""

_LETTER_MS: Final = 80
"""The time that a letter takes, roughly: twelve a second."""

_OVER_MS: Final = 600
"""Silence after which a final word is whole: no second half of it will come. One message without that half does not
show silence, for what is not final may be missing once."""


class _OpenWord:
    """The word that tokens are still added to. Times in milliseconds."""

    __slots__ = ("end", "start", "text")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.start = start
        self.end = end


class WordJoiner:
    """Joins tokens to words, one token after another."""

    __slots__ = ("heard", "open", "reached", "words")

    def __init__(self, before: WordJoiner | None = None) -> None:
        """Begin, or go on with the word that `before` has begun and leave that one as it is."""
        self.words: list[Word] = []
        self.open: _OpenWord | None = None
        self.reached: int = 0
        """The end of the last word, in milliseconds; no word begins before it."""
        self.heard: float = math.inf
        """The end of the audio that Soniox has heard, in milliseconds; no word ends behind it."""
        if before is not None:
            begun = before.open
            self.open = None if begun is None else _OpenWord(begun.text, begun.start, begun.end)
            self.reached, self.heard = before.reached, before.heard

    def add(self, token: SonioxToken, until: int) -> None:
        """Add a token that is no marker. Without a time it ends at `until`, in milliseconds."""
        text = token.text
        pieces = text.split()
        if not pieces or text[0].isspace():
            self.close()
        start = self.reached if token.start_ms is None else self.within(token.start_ms)
        end = self.within(until if token.end_ms is None else token.end_ms)
        for number, piece in enumerate(pieces):
            if number:
                self.close()
            for at in range(0, len(piece), LONGEST_WORD):
                self._extend(piece[at : at + LONGEST_WORD], start, end)
        if pieces and text[-1].isspace():
            self.close()

    def _extend(self, piece: str, start: int, end: int) -> None:
        """Add to the word that has begun, or begin one."""
        if self.open is not None and len(self.open.text) + len(piece) > LONGEST_WORD:
            self.close()
        if self.open is None:
            start = max(start, self.reached)
            self.open = _OpenWord(piece, start, max(start, end))
        else:
            self.open.text += piece
            self.open.end = max(self.open.end, end)

    def within(self, ms: float) -> int:
        """Return the time, within the audio that was heard."""
        return int(min(ms, self.heard))

    def close(self) -> None:
        """The word is over. A mark without a letter or a digit is none."""
        begun, self.open = self.open, None
        if begun is not None and any(letter.isalnum() for letter in begun.text):
            self.reached = max(begun.end, self.reached + 1)
            self.words.append(Word(begun.text, begun.start * SAMPLES_PER_MS, self.reached * SAMPLES_PER_MS))

    def close_after(self, heard_ms: int) -> None:
        """The word is over if it has been quiet since, up to that moment."""
        if self.open is not None and heard_ms - self.open.end >= _OVER_MS:
            self.close()


class PortionReader:
    """One per session: reads its messages, in their order."""

    __slots__ = ("_alone", "_final", "_shown")

    def __init__(self) -> None:
        self._final = WordJoiner()
        self._alone = False  # nothing in the last message was not final
        self._shown = 0  # words of the newest interim that are not final

    def read(self, response: SonioxResponse) -> list[Portion]:
        """Return a message's final, if it has one, and then its interim, if there is something to say."""
        final = self._final
        final.heard = response.heard_ms or math.inf
        marked = response.finished
        rest = [token for token in response.tokens if not token.is_final]
        settled = [token for token in response.tokens if token.is_final]
        for token, until in _dated(settled, response.final_ms):
            if token.text in MARKERS:
                marked = True
                final.close()
            else:
                final.add(token, until)
        if response.finished:
            final.close()
        elif self._alone and not rest:
            final.close_after(response.heard_ms)
        self._alone = not rest
        portions = self._settled(response, marked=marked)
        interim = self._interim(rest, response.heard_ms)
        return portions if interim is None else [*portions, interim]

    def _settled(self, response: SonioxResponse, *, marked: bool) -> list[Portion]:
        words, self._final.words = self._final.words, []
        if not words and not (marked and self._shown):
            return []
        end = words[-1].end if words else 0
        self._shown = 0 if marked else max(0, self._shown - len(words))
        if marked:
            final = self._final
            final.reached = max(final.reached, final.within(response.final_ms))
            end = max(end, final.reached * SAMPLES_PER_MS)
        return [Portion(text=_text(words), end=end, final=True, words=tuple(words))]

    def _interim(self, rest: Sequence[SonioxToken], heard_ms: int) -> Portion | None:
        joiner = WordJoiner(self._final)
        for token, until in _dated(rest, heard_ms):
            joiner.add(token, until)
        joiner.close()
        words = joiner.words
        if not words and not self._shown:
            return None
        self._shown = len(words)
        end = max(heard_ms * SAMPLES_PER_MS, words[-1].end if words else 0)
        return Portion(text=_text(words), end=end, final=False, words=tuple(words))


def _dated(tokens: Sequence[SonioxToken], until: int) -> Iterator[tuple[SonioxToken, int]]:
    """Return each token with the time by which it is over if it has none: well before the next one that has one."""
    dated = []
    for token in reversed(tokens):
        dated.append((token, until))
        until = until - len(token.text) * _LETTER_MS if token.start_ms is None else token.start_ms
    return reversed(dated)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
