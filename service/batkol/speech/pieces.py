"""Cutting of an answer, while it is still being written, into pieces that can be spoken one by one.

A piece ends where a person would breathe. The first one comes early: a voice begins with it while the rest is written.
Cuts are made at white space only, so 3.5, 14:30, 1,500, ד"ר and addresses of mail and web stay whole by themselves;
what is no end although it looks like one (פרופ. לוי, ת.ז.), `piece_ends` knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from batkol.speech.markup import unmarked, without_bullet
from batkol.speech.piece_ends import ends_clause, ends_sentence, is_bare_prefix, leans_on_next
from batkol.speech.sameness import spoken

_SPACE: Final = r"\s\x00-\x1f\x7f-\x9f"
_LINE_ENDS: Final = frozenset("\n\r\u2028\u2029")
_LETTER_OR_DIGIT: Final = re.compile(r"[^\W_]")
_ITEM: Final = re.compile(r"([0-9]{1,2})\.")


@dataclass(slots=True)
class Cutter:
    """Text in, in pieces of any size; pieces to speak out. One for each answer.

    A piece ends at the end of a sentence or of a line, as soon as the white space behind it is there. The first one
    also ends at the end of a clause, or once it has `first_words` words, at the last of them that does not lean on the
    next one; if it has less than half of that many, the next one comes as early. A piece has at most `longest`
    characters. Each piece has something to speak, and no white space around it.
    """

    first_words: int = 4
    longest: int = 200
    _growing: str = field(default="", init=False)  # the word that has no white space behind it yet
    _words: list[str] = field(default_factory=list, init=False)
    _length: int = field(default=0, init=False)  # of the words, each with a space
    _said: int = field(default=0, init=False)  # words in pieces
    _item: int = field(default=0, init=False)  # the number of the list's newest item
    _line_begins: bool = field(default=True, init=False)
    _token: re.Pattern[str] = field(init=False, repr=False)
    _space: re.Pattern[str] = field(default=re.compile(f"[{_SPACE}]"), init=False, repr=False)

    def __post_init__(self) -> None:
        if self.first_words < 1 or self.longest < 1:
            raise ValueError("first_words and longest must be at least 1")
        self._token = re.compile(f"([^{_SPACE}]{{1,{self.longest}}})|[{_SPACE}]")

    def append(self, text: str) -> list[str]:
        """Add text; return the pieces that it completes."""
        if not self._space.search(text) and len(self._growing) + len(text) < self.longest:
            self._growing += text  # most tokens are parts of a word
            return []
        pieces: list[str] = []
        text, end = self._growing + text, 0
        for token in self._token.finditer(text):
            word: str | None = token.group(1)
            if word is None:
                if token.group() in _LINE_ENDS:
                    self._end_line(pieces)
            elif token.end() < len(text) or len(word) == self.longest:
                self._add(word, pieces)
            else:
                break  # it may go on
            end = token.end()
        self._growing = text[end:]
        return pieces

    def flush(self) -> list[str]:
        """End the answer; return what is left of it. The cutter is as new then."""
        pieces: list[str] = []
        if self._growing:
            self._add(self._growing, pieces)
        self._cut(len(self._words), pieces)
        self._growing, self._said, self._item, self._line_begins = "", 0, 0, True
        return pieces

    def _end_line(self, pieces: list[str]) -> None:
        self._line_begins = True
        if self._words and not is_bare_prefix(self._words[-1]):
            self._cut(len(self._words), pieces)

    def _add(self, token: str, pieces: list[str]) -> None:
        word = unmarked(token)
        if self._line_begins:
            word = without_bullet(word)
        if not word:
            return
        self._line_begins = False
        if self._length + len(word) > self.longest:
            self._make_room(len(word), pieces)
        if _has_speech(word):
            self._words.append(word)
        elif self._words:
            self._words[-1] += " " + word  # punctuation on its own belongs to what it follows
        else:
            return
        self._length += len(word) + 1
        self._cut(self._end(), pieces)

    def _end(self) -> int:
        """Return how many words make a piece now; 0: none yet."""
        last = self._words[-1]
        if ends_sentence(last) and not self._is_item(last):
            return len(self._words)
        if self._said * 2 >= self.first_words:
            return 0
        if ends_clause(last):
            return len(self._words)
        if len(self._words) < self.first_words:
            return 0
        return self._last_end(fewest=(self.first_words + 1) // 2)

    def _last_end(self, fewest: int = 1) -> int:
        """Return the number of words up to the last one that does not lean on the next; 0 if that is below `fewest`."""
        for count in range(len(self._words), fewest - 1, -1):
            if not leans_on_next(self._words[count - 1]):
                return count
        return 0

    def _is_item(self, word: str) -> bool:
        """Whether it is the head of a list's item: nothing stands before it, or its number is the next one."""
        found = _ITEM.fullmatch(word)
        if found is None or (len(self._words) > 1 and int(found.group(1)) != self._item + 1):
            return False
        self._item = int(found.group(1))
        return True

    def _make_room(self, length: int, pieces: list[str]) -> None:
        """Cut so that a word of that length has room: at a clause's end in the second half, or where nothing leans."""
        at = 0
        begins = self._length
        for count in range(len(self._words), 0, -1):
            if begins * 2 < self.longest:
                break
            if ends_clause(self._words[count - 1]):
                at = count
                break
            begins -= len(self._words[count - 1]) + 1
        self._cut(at or self._last_end() or len(self._words), pieces)
        if self._length + length > self.longest:
            self._cut(len(self._words), pieces)

    def _cut(self, count: int, pieces: list[str]) -> None:
        if not count:
            return
        words = self._words[:count]
        del self._words[:count]
        pieces.append(" ".join(words))
        self._length -= len(pieces[-1]) + 1
        self._said += count


def _has_speech(word: str) -> bool:
    return _LETTER_OR_DIGIT.search(word) is not None or bool(spoken(word))
