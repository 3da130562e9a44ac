"""Words that decide turns: endings after which more follows, backchannel words, words that stop the agent.

Data for Hebrew and English, and the three questions that are asked of a text. Live tuning may replace both lists that
decide interruptions. Texts are compared as `batkol.speech.sameness` compares them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from batkol.speech.sameness import spoken


def _list(text: str) -> tuple[str, ...]:
    return tuple(entry for part in text.split(",") if (entry := part.strip()))


def _compared(text: str) -> frozenset[str]:
    return frozenset(map(spoken, _list(text)))


BACKCHANNEL: Final = _list("""
    אהה, אה, אהם, אמ, אממ, אמממ, המ, הממ, מהמ, מממ, ממ, מ הם, אה הא, אהא, כן, כן כן, נכון, בסדר, אוקיי, אוקי, טוב, בטח,
    ברור, יופי, מצוין, הבנתי, סבבה, וואלה,
    mhm, mm hm, mm, mmm, mmhmm, hm, hmm, uh huh, uhuh, uh, um, ah, aha, oh, yes, yeah, yep, ok, o k, okay, right, sure,
    i see, alright, got it, good, great, exactly
""")
"""Words by which a caller shows that they listen. While the agent speaks they do not interrupt."""

STOPPING: Final = _list("""
    רגע, עצור, עצרי, עצרו, לא, די, סליחה, תפסיק, תפסיקי, תעצור, תעצרי, שניה, שנייה, חכה, חכי,
    stop, wait, no, hold on, sorry, excuse me, one moment, enough
""")
"""Words that interrupt the agent at once, alone or among others."""

_UNFINISHED: Final = _compared("""
    של, כי, אבל, או, אם, עם, את, על, אל, אז, שזה, גם, רק, כדי, בגלל, אחרי, לפני, בין, עד, מן, כמו, לגבי, בקשר, אני, הוא,
    היא, אנחנו, ואני, ואם, ואז, וגם, והוא, והיא, וזה, ויש, ו, ה, ב, ל, מ, ש, כ, אמ, אממ, הממ,
    and, or, but, because, so, the, a, an, of, to, for, with, from, if, my, your, his, our, their, i, we, which, um, uh
""")
"""Last words after which more follows: conjunctions, prepositions, pronouns, hesitations."""

_DIGITS: Final = _compared("""
    אפס, אחת, אחד, שתיים, שתים, שניים, שלוש, שלושה, ארבע, ארבעה, חמש, חמישה, שש, שישה, שבע, שבעה, שמונה, תשע, תשעה, מקף,
    נקודה, שטרודל, כרוכית,
    zero, one, two, three, four, five, six, seven, eight, nine, oh, dash, dot, double
""")
_NUMERAL: Final = re.compile(r"\d+")
_LEAST_DIGITS: Final = 3
_WHOLE_NUMBER: Final = 9
"""Digits from which a number may be whole: an Israeli identity number has nine, a telephone number nine or ten."""


class Ending(StrEnum):
    """Judgement on what follows a text, by its end."""

    WHOLE = "whole"
    UNFINISHED = "unfinished"  # the last word needs another one
    DICTATION = "dictation"  # digits, and not yet as many as a number has


class Lexicon(msgspec.Struct, frozen=True):
    """Lists of words of one agent, as compared: made by `lexicon`."""

    backchannel: frozenset[str]
    stopping: frozenset[str]

    def is_backchannel(self, text: str) -> bool:
        """Whether a text has no other words than backchannel words. One without a word is none."""
        words = spoken(text).split()
        return bool(words) and not _without(words, self.backchannel)

    def may_become_backchannel(self, text: str) -> bool:
        """Whether the last word of a text is the beginning of a backchannel word, and all others are such words."""
        words = spoken(text).split()
        left = _without(words, self.backchannel)
        return left == words[-1:] and any(phrase.startswith(left[0]) for phrase in self.backchannel if left)

    def stops(self, text: str) -> bool:
        """Whether a text has a word, or several in a row, that stop the agent."""
        words = spoken(text).split()
        return len(_without(words, self.stopping)) < len(words)

    def telling(self, text: str) -> list[str]:
        """Return the words of a text that are not backchannel words."""
        return _without(spoken(text).split(), self.backchannel)


def lexicon(backchannel: Iterable[str] = BACKCHANNEL, stopping: Iterable[str] = STOPPING) -> Lexicon:
    """Make the lists as they are compared."""
    return _lexicon(tuple(backchannel), tuple(stopping))


@lru_cache(maxsize=16)
def _lexicon(backchannel: tuple[str, ...], stopping: tuple[str, ...]) -> Lexicon:
    stops = frozenset(filter(None, map(spoken, stopping)))
    return Lexicon(backchannel=frozenset(filter(None, map(spoken, backchannel))) - stops, stopping=stops)


def ending(text: str) -> Ending:
    """Judge the end of a caller's text."""
    words = spoken(text).split()
    if not words:
        return Ending.WHOLE
    digits = 0
    for word in reversed(words):
        found = _NUMERAL.fullmatch(word)
        if not found and word not in _DIGITS:
            break
        digits += len(word) if found else 1
    if _LEAST_DIGITS <= digits < _WHOLE_NUMBER:
        return Ending.DICTATION
    return Ending.UNFINISHED if words[-1] in _UNFINISHED else Ending.WHOLE


def _without(words: Sequence[str], phrases: frozenset[str]) -> list[str]:
    """Return the words that belong to none of these phrases, of which the longest that fits is taken first."""
    left, at, longest = [], 0, _longest(phrases)
    while at < len(words):
        sizes = range(min(longest.get(words[at], 0), len(words) - at), 0, -1)
        size = next((n for n in sizes if " ".join(words[at : at + n]) in phrases), 0)
        if not size:
            left.append(words[at])
        at += size or 1
    return left


@lru_cache(maxsize=16)
def _longest(phrases: frozenset[str]) -> dict[str, int]:
    """Return the number of words of the longest phrase that begins with a word, by that word."""
    longest: dict[str, int] = {}
    for words in map(str.split, phrases):
        longest[words[0]] = max(longest.get(words[0], 0), len(words))
    return longest
