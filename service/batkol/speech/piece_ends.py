"""Ends of sentences and clauses, by their last word, in Hebrew and English: where a voice may breathe, and where not.

A word here is what stands between two white spaces, its punctuation included.
"""

from __future__ import annotations

import re
from typing import Final

_OPENERS: Final = "\"'“„‘«״׳([{"
_CLOSERS: Final = "\"'”’»״׳)]}"
_SENTENCE_ENDS: Final = tuple(".!?…׃؟‽⁇⁈⁉。！？")
_CLAUSE_ENDS: Final = tuple(",;:–—،؛，；：")
_DIGITS: Final = tuple("0123456789")
_AROUND: Final = _OPENERS + _CLOSERS + ",;:–— "
_PLAIN_QUOTES: Final = str.maketrans("״”“׳’‘ʼ´`", "\"\"\"''''''")

_LETTER: Final = r"[^\W\d_]"
_DOTTED: Final = re.compile(rf"{_LETTER}{{1,4}}(?:\.{_LETTER})+\.|{_LETTER}\.")
"""Letters with full stops (ת.ז., בת.ד., e.g.), and one letter alone: an initial, or the head of an item."""
_SHORTENED: Final = re.compile(
    r"[ובלמהשכ]{0,2}(?:פרופ|רח|שד|אינג|גב|עמ)\.|(?:mr|mrs|ms|dr|prof|st|vs|inc|ltd|jr|sr|approx|ext)\.",
    re.IGNORECASE,
)
"""Not טל. and מס., which end sentences as words of their own: «שמי טל.», «פטור ממס.»."""
_BARE_PREFIX: Final = re.compile(r"[ובלמהשכ](?:[-־‐‑]|\.\.\.|…)?")
_TITLE: Final = re.compile(
    r"[ובלמהשכ]{0,2}(?:ד\"ר|פרופ'|עו\"ד|רו\"ח|מר|גב'|הרב|רח'|שד'|מס'|טל'|עמ'|ת\"ד|סעי')", re.IGNORECASE
)
"""Titles and the like, which are not parted from the name or number behind them."""
# fmt: off
_LEANING: Final = frozenset([
    "את", "של", "על", "עם", "אל", "בין", "כי", "אם", "או", "אבל", "גם", "רק", "כל", "בלי", "לפני", "אחרי", "כמו", "עד",
    "מול", "אצל", "בשביל", "בגלל", "לפי", "מתוך",
    "the", "a", "an", "of", "to", "in", "on", "at", "for", "from", "by", "and", "or", "but", "with",
])
# fmt: on
"""Words that lean on the next one: behind them a pause sounds as if the voice had been cut off."""
_CONJUNCTIONS: Final = ("ו", "ש", "כש")


def is_bare_prefix(word: str) -> bool:
    """Whether it is one of ו, ב, ל, מ, ה, ש, כ without its word."""
    return _BARE_PREFIX.fullmatch(word.strip(_AROUND)) is not None


def ends_sentence(word: str) -> bool:
    """Whether a sentence may end with this word. Whether `5.` does, the numbers around it decide, not the word."""
    bare = word.rstrip(_CLOSERS)
    if not bare.endswith(_SENTENCE_ENDS) or is_bare_prefix(bare):
        return False
    if bare.endswith(" ."):  # a full stop on its own is one of an ellipsis that is written with spaces
        return False
    begun = bare.lstrip(_OPENERS)
    return not (_DOTTED.fullmatch(begun) or _SHORTENED.fullmatch(begun))


def ends_clause(word: str) -> bool:
    """Whether a clause may end with this word. A number with a comma may be one of several."""
    bare = word.rstrip(_CLOSERS)
    return bare.endswith(_CLAUSE_ENDS) and not bare[:-1].rstrip().endswith(_DIGITS) and not is_bare_prefix(bare)


def leans_on_next(word: str) -> bool:
    """Whether the word is nothing without the next one: a bare prefix, a title, a number, a preposition."""
    plain = word.translate(_PLAIN_QUOTES).lstrip(_OPENERS)
    if is_bare_prefix(plain) or _TITLE.fullmatch(plain) or plain.endswith((*_DIGITS, "-", "־")):
        return True
    if _DOTTED.fullmatch(plain) or _SHORTENED.fullmatch(plain):
        return True
    lowered = plain.casefold()
    return lowered in _LEANING or any(lowered.removeprefix(each) in _LEANING for each in _CONJUNCTIONS)
