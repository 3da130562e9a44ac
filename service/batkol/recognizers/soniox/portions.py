"""Soniox's tokens, joined to words and portions.

A token is a piece of a word, and a word is over when a token that begins with a space follows it, or a marker, or
silence, or when it has as many characters as no word has. A final token is sent once; all that are not final come again
with every message. So a word whose first half is final is held until its second half is: it goes out as an interim, and
then once, whole.

Times are not always in order: a token may end before the one before it, or have no time (livekit/agents, pull request
6976). Audio is committed by time, so a word never lies before what is final already, and a word without a time ends as
long before the next time as its letters take.

No time may lie behind the audio that was sent: every word after it would have to lie there as well, where no utterance
is. A time that cannot be is no time, and a figure of the whole message that cannot be is not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

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

_ROUNDING_MS: Final = 100
"""A time that lies so little behind the audio was rounded, and is right."""

_UNHEARD_MS: Final = 200
"""The newest audio that was sent: where Soniox does not say how much it has heard, it has not heard this."""


class _Dated(NamedTuple):
    """The text of a token with its start, if that is known, and its end. Times in milliseconds."""

    text: str
    start: int | None
    end: int
    is_guess: bool
    """Whether Soniox has sent no end of it that can be."""


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
        self.heard: int = 0
        """The end of the audio that Soniox may have heard, in milliseconds; no word ends behind it."""
        if before is not None:
            begun = before.open
            self.open = None if begun is None else _OpenWord(begun.text, begun.start, begun.end)
            self.reached, self.heard = before.reached, before.heard

    def add(self, text: str, start: int | None, end: int) -> None:
        """Add the text of a token that is no marker, with its times in milliseconds."""
        pieces = text.split()
        if not pieces or text[0].isspace():
            self.close()
        start = self.reached if start is None else min(start, self.heard)
        end = min(end, self.heard)
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

    __slots__ = ("_alone", "_final", "_heard", "_rest", "_shown")

    def __init__(self) -> None:
        self._final = WordJoiner()
        self._heard = 0  # milliseconds of audio that Soniox says it has heard
        self._rest: list[_Dated] = []  # the tokens of the last message that were not final
        self._alone = False  # nothing in the last message was not final
        self._shown = 0  # words of the newest interim that are not final

    def read(self, response: SonioxResponse, *, sent_ms: int) -> list[Portion]:
        """Return a message's final, if it has one, and then its interim, if there is something to say.

        `sent_ms`: the audio of the session that was sent so far, in milliseconds.
        """
        final = self._final
        heard = self._hear(response, sent_ms)
        settled_ms = _possible(response.final_ms, final.heard)
        marked = response.finished
        tokens = [token for token in response.tokens if token.text]
        rest = [token for token in tokens if not token.is_final]
        settled = [token for token in tokens if token.is_final]
        for text, start, end, _ in _dated(settled, limit=final.heard, until=settled_ms or heard, before=self._rest):
            if text in MARKERS:
                marked = True
                final.close()
            else:
                final.add(text, start, end)
        if response.finished:
            final.close()
        elif self._alone and not rest:
            final.close_after(self._heard)
        self._alone = not rest
        portions = self._settled(settled_ms or 0, marked=marked)
        self._rest = _dated(rest, limit=final.heard, until=heard, before=self._rest[len(settled) :])
        interim = self._interim()
        return portions if interim is None else [*portions, interim]

    def _hear(self, response: SonioxResponse, sent_ms: int) -> int:
        """Note how much audio Soniox has heard; return the end of it, or a guess where the message does not say it.

        What was heard once stays heard. Where the message does not say it, a word may end as late as the audio.
        """
        said = _possible(response.heard_ms, sent_ms)
        if said:
            self._heard = self._final.heard = max(self._heard, said)
            return self._heard
        self._final.heard = sent_ms
        return max(self._heard, sent_ms - _UNHEARD_MS)

    def _settled(self, settled_ms: int, *, marked: bool) -> list[Portion]:
        words, self._final.words = self._final.words, []
        if not words and not (marked and self._shown):
            return []
        end = words[-1].end if words else 0
        self._shown = 0 if marked else max(0, self._shown - len(words))
        if marked:
            final = self._final
            final.reached = max(final.reached, settled_ms)
            end = max(end, final.reached * SAMPLES_PER_MS)
        return [Portion(text=_text(words), end=end, final=True, words=tuple(words))]

    def _interim(self) -> Portion | None:
        joiner = WordJoiner(self._final)
        for text, start, end, _ in self._rest:
            joiner.add(text, start, end)
        joiner.close()
        words = joiner.words
        if not words and not self._shown:
            return None
        self._shown = len(words)
        end = max(self._heard * SAMPLES_PER_MS, words[-1].end if words else 0)
        return Portion(text=_text(words), end=end, final=False, words=tuple(words))


def _possible(ms: float | None, limit: int) -> int | None:
    """Return the time, at most `limit`; None if there is none, or if it cannot be: no comparison holds for NaN."""
    return min(int(ms), limit) if ms is not None and 0 <= ms <= limit + _ROUNDING_MS else None


def _dated(tokens: Sequence[SonioxToken], *, limit: int, until: int, before: Sequence[_Dated]) -> list[_Dated]:
    """Return the tokens with times that can be.

    A token without a time has the one that Soniox sent in the message `before`. Without that it is over well before the
    next one that has one, and the last one by `until`: a guess, which later messages may better.
    """
    dated = []
    for number, token in reversed([*enumerate(tokens)]):
        start, end = _possible(token.start_ms, limit), _possible(token.end_ms, limit)
        if start is not None and end is not None and start > end:
            start = None  # a word lies where it ends
        if end is None and number < len(before) and _has_time_for(before[number], token):
            start, end = before[number].start, before[number].end
        until, is_guess = (until, True) if end is None else (end, False)
        dated.append(_Dated(token.text, start, until, is_guess))
        letters = 0 if token.text in MARKERS else len(token.text)
        until = until - letters * _LETTER_MS if start is None else start
    dated.reverse()
    return dated


def _has_time_for(shown: _Dated, token: SonioxToken) -> bool:
    return shown.text == token.text and not shown.is_guess


def _text(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)
