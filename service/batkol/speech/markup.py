"""Removal of what a language model writes for the eye: Markdown, bullets and emoji are not spoken."""

from __future__ import annotations

import re
from typing import Final

_UNSEEN: Final = r"\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
"""Format characters: soft hyphens, marks of direction, joiners, variation selectors."""
_PICTURES: Final = r"\u20e3\u2022\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff\U000e0000-\U000e0fff"
"""Emoji, dingbats, arrows of emoji, bullets, boxes, tags and the frame of a keycap."""
_BETWEEN_DIGITS: Final = r"(?:(?<![0-9])\*|\*(?![0-9]))"
_AROUND_HEBREW: Final = r"(?:(?<![א-ת])`|`(?![א-ת]))"  # within a word it is typed for a geresh
_AROUND_WORDS: Final = r"(?:(?<![^\W_])_+|_+(?![^\W_]))"

_REMOVED: Final = re.compile(
    rf"[{_UNSEEN}{_PICTURES}|]+|\*{{2,}}|~{{2,}}|`{{2,}}|{_BETWEEN_DIGITS}|{_AROUND_HEBREW}|{_AROUND_WORDS}|^\#+|\#+$"
)
_IN_ADDRESSES: Final = re.compile(rf"[{_UNSEEN}{_PICTURES}]+|^[*_`<|#]+|[*_`>|#]+$")
_MAY_BE_MARKED: Final = re.compile(rf"[*_`~#|{_UNSEEN}{_PICTURES}]")
_BULLET: Final = re.compile(r"[-–—*+>·•‣◦]+|#{1,6}|[-*_=]{3,}")
_GLUED_BULLET: Final = re.compile(r"^[-–—·‣◦>](?=[^\W\d_])")


def unmarked(word: str) -> str:
    """Return a word, which has no white space in it, as it is to be spoken; "" if nothing of it is.

    Of an address of mail or web, only what stands around it is removed: an underscore in it is a part of it.
    """
    if not _MAY_BE_MARKED.search(word):
        return word
    pattern = _IN_ADDRESSES if "://" in word or "@" in word else _REMOVED
    return pattern.sub("", word)


def without_bullet(word: str) -> str:
    """Return the first word of a line without a bullet, or the number signs of a heading; "" if it is no more."""
    return "" if _BULLET.fullmatch(word) else _GLUED_BULLET.sub("", word)
