"""Soniox's tokens, joined to words and portions.

A token is a piece of a word, and a word is over when a token that begins with a space follows it, or a marker, or
silence. A final token is sent once; all that are not final come again with every message. So a word whose first half
is final is held until its second half is: it goes out as an interim, and then once, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from batkol.audio.mulaw import SAMPLES_PER_MS
from batkol.recognizers.soniox.wire import SonioxResponse, SonioxToken
from batkol.speech.results import Portion, Word

MARKERS: Final = frozenset({"<fin>", "<end>"})
"""Tokens that say that everything before them is final."""

_OVER_MS: Final = 600
"""Silence after which a final word is whole: no second half of it will come."""


class _OpenWord:
    """The word that tokens are still added to. Times in milliseconds."""

    __slots__ = ("end", "start", "text")

    def __init__(self, text: str, start: int, end: int) -> None:
        self.text = text
        self.start = start
        self.end = end


class WordJoiner:
    """Joins tokens to words, one token after another."""

    __slots__ = ("open", "words")

    def __init__(self, begun: _OpenWord | None = None) -> None:
        self.words: list[Word] = []
        self.open = None if begun is None else _OpenWord(begun.text, begun.start, begun.end)

    def add(self, token: SonioxToken) -> None:
        """Add a token that is no marker."""
        text = token.text
        pieces = text.split()
        if not pieces or text[0].isspace():
            self.close()
        last = self.open.end if self.open is not None else 0
        start = last if token.start_ms is None else token.start_ms
        end = start if token.end_ms is None else token.end_ms
        for number, piece in enumerate(pieces):
            if number:
                self.close()
            if self.open is None:
                self.open = _OpenWord(piece, start, end)
            else:
                self.open.text += piece
                self.open.end = max(self.open.end, end)
        if pieces and text[-1].isspace():
            self.close()

    def close(self) -> None:
        """The word is over. A mark without a letter or a digit is none."""
        begun, self.open = self.open, None
        if begun is not None and any(letter.isalnum() for letter in begun.text):
            self.words.append(Word(begun.text, begun.start * SAMPLES_PER_MS, begun.end * SAMPLES_PER_MS))

    def close_after(self, heard_ms: int) -> None:
        """The word is over if it has been quiet since, up to that moment."""
        if self.open is not None and heard_ms - self.open.end >= _OVER_MS:
            self.close()


class PortionReader:
    """One per session: reads its messages, in their order."""

    __slots__ = ("_final", "_shown")

    def __init__(self) -> None:
        self._final = WordJoiner()
        self._shown = 0  # words of the newest interim that are not final

    def read(self, response: SonioxResponse) -> list[Portion]:
        """Return a message's final, if it has one, and then its interim, if there is something to say."""
        final = self._final
        marked = response.finished
        rest: list[SonioxToken] = []
        for token in response.tokens:
            if not token.is_final:
                rest.append(token)
            elif token.text in MARKERS:
                marked = True
                final.close()
            else:
                final.add(token)
        if response.finished:
            final.close()
        elif not rest:
            final.close_after(response.heard_ms)
        portions = self._settled(response, marked=marked)
        interim = self._interim(rest, response.heard_ms)
        return portions if interim is None else [*portions, interim]

    def _settled(self, response: SonioxResponse, *, marked: bool) -> list[Portion]:
        words, self._final.words = self._final.words, []
        if not words and not (marked and self._shown):
            return []
        end = _end(words)
        self._shown = 0 if marked else max(0, self._shown - len(words))
        if marked:
            end = max(end, response.final_ms * SAMPLES_PER_MS)
        return [Portion(text=_text(words), end=end, final=True, words=tuple(words))]

    def _interim(self, rest: Iterable[SonioxToken], heard_ms: int) -> Portion | None:
        joiner = WordJoiner(self._final.open)
        for token in rest:
            joiner.add(token)
        joiner.close()
        words = joiner.words
        if not words and not self._shown:
            return None
        self._shown = len(words)
        end = max(heard_ms * SAMPLES_PER_MS, _end(words))
        return Portion(text=_text(words), end=end, final=False, words=tuple(words))


def _end(words: Sequence[Word]) -> int:
    """Return where the words end, which are in order only if the vendor has them in order."""
    return max((word.end for word in words), default=0)


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
