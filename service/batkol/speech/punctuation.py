"""Punctuation for finals: a full stop, or a question mark where Hebrew asks.

Google's v1 models do not punctuate Hebrew. This is a small post-process, never applied to partials and replaceable
by any `Callable[[str], str]`. It adds one mark at the end and changes no word.

Hebrew forms most questions with a word at the front, or just behind a greeting or a conjunction; yes/no questions
are often marked by intonation alone, which text does not carry: those end in a full stop, and that is this function's
known limit.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

_MARKS: Final = tuple(".?!…:;,‽⁇⁈⁉׃؟؛،۔。｡、．？！：；，")
"""Marks that end a sentence or go on with it: Latin, Hebrew (sof pasuq), Arabic, and the wide forms of East Asia."""

_CLOSERS: Final = "\"'”’»›״׳)]}"
"""Characters that may follow the last mark: «אמר "מה?"» has its mark."""

_OPENING: Final = "\"'“„‘«‹״׳([{¿¡"

_UNSEEN: Final = frozenset(["Cf", "Mn"])
"""Unicode's categories of what is no letter of a word: format characters (right-to-left marks, byte order marks) and
combining marks (niqqud)."""

_QUESTION_WORDS: Final = frozenset(
    [
        "מה",
        "מי",
        "מתי",
        "איפה",
        "היכן",
        "לאן",
        "מאיפה",
        "מאין",
        "ממתי",
        "ממי",
        "ממה",
        "מאיזה",
        "מאיזו",
        "למה",
        "מדוע",
        "איך",
        "כיצד",
        "כמה",
        "בכמה",
        "האם",
        "איזה",
        "איזו",
        "אילו",
        "הלא",
        "וכי",
    ]
)
_PREFIXED: Final = frozenset(["ו", "ל", "ב"])
"""One-letter words that Hebrew writes onto the next one: ומתי, לכמה, במה. Not ש: «שמי» is «my name»; nor מ: «מכמה
סיבות» is «for several reasons»."""

_RELATIVE: Final = frozenset(
    ["שאני", "שאתה", "שאת", "שהוא", "שהיא", "שאנחנו", "שאתם", "שהם", "שיש", "שאין", "שלא", "שרוצה", "שנוח"]
)
"""After one of these a question word is none: «מה שאתה רוצה» is «whatever you want»."""

_EXCLAIMED: Final = frozenset([("מה", "פתאום"), ("איזה", "יופי"), ("איזה", "כיף"), ("איזה", "מזל")])

_OPENERS: Final = frozenset(
    [
        "שלום",
        "היי",
        "הי",
        "אהלן",
        "הלו",
        "תשמע",
        "תשמעי",
        "סליחה",
        "תגיד",
        "תגידי",
        "תגידו",
        "לי",
        "רגע",
        "אז",
        "אבל",
        "אוקיי",
        "סבבה",
        "יופי",
        "בעצם",
        "טוב",
        "נו",
        "כן",
        "לא",
        "בבקשה",
        "תודה",
        "ערב",
        "בוקר",
        "את",
        "עם",
        "על",
        "של",
        "עד",
        "אצל",
        "בשביל",
    ]
)
"""Words that may stand before the question without ending it: greetings, fillers, prepositions («עם מי»)."""

_TAGS: Final = (("נכון",), ("לא", "כך"), ("או", "לא"), ("אה",))
"""Endings that turn a statement into a question: «זה מחר, נכון». Not «בסדר»: «כן, זה בסדר» is an answer."""

_NOT_TAGS: Final = frozenset([("זה", "נכון"), ("לא", "נכון"), ("הכול", "נכון"), ("הכל", "נכון")])
"""«כן, זה נכון» confirms."""

_TAG_NEEDS: Final = 3  # words: «נכון» alone is an answer, not a question


Punctuate = Callable[[str], str]
"""Finishes the text of a final: keeps every word. One that raises is logged, and the text goes out as it is."""


def punctuate(text: str) -> str:
    """Return the text with a mark at its end; text that has one, and empty text, come back as they are."""
    text = text.strip()
    letters = _letters(text)
    end = letters.rstrip().rstrip(_CLOSERS).rstrip()
    if not end or end.endswith(_MARKS):
        return text
    return text + ("?" if _asks(letters.split()) else ".")


def _letters(text: str) -> str:
    """Return the text as its words are compared: without what is not seen, and with words apart that maqaf joins."""
    seen = (each for each in unicodedata.normalize("NFD", text) if unicodedata.category(each) not in _UNSEEN)
    return "".join(seen).replace("־", " ")


def _asks(words: list[str]) -> bool:
    words = [word.strip(_CLOSERS + _OPENING + "".join(_MARKS)) for word in words]
    return _ends_as_question(words) or _begins_as_question(words)


def _ends_as_question(words: list[str]) -> bool:
    if len(words) < _TAG_NEEDS or tuple(words[-2:]) in _NOT_TAGS:
        return False
    tag = next((tag for tag in _TAGS if tuple(words[-len(tag) :]) == tag), None)
    return tag is not None and not (tag == ("או", "לא") and "אם" in words)  # «אם … או לא» is «whether or not»


def _begins_as_question(words: list[str]) -> bool:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if _is_question_word(word):
            return following not in _RELATIVE and (word, following) not in _EXCLAIMED
        if word not in _OPENERS:
            return False
    return False


def _is_question_word(word: str) -> bool:
    if word in _QUESTION_WORDS or (word[:1] in _PREFIXED and word[1:] in _QUESTION_WORDS):
        return True
    return word[:1] == "ו" and word[1:2] in _PREFIXED and word[2:] in _QUESTION_WORDS  # ובאיזה
