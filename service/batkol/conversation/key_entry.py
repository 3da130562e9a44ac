"""The keys that the caller has pressed one after another. Pure."""

from __future__ import annotations

from typing import Final

VERBS: Final = {"he": "הקיש/ה", "": "pressed"}
"""The words for a caller who pressed keys, by language; "" is every other language."""

STARS: Final = {"he": "כוכבית", "": "star"}
"""The name of the key `*`."""

FIRST: Final = 1 << 30
"""The number of the first entry among the utterances of a turn: entries stand behind what is spoken."""


class KeyEntry:
    """One entry at a time. Each has a number of its own among the utterances."""

    __slots__ = ("_count", "_keys", "_star", "_verb", "entry")

    def __init__(self, language: str) -> None:
        """`language` is a BCP 47 tag, as `he-IL`."""
        name = language.partition("-")[0].lower().replace("iw", "he")
        self._verb = VERBS.get(name, VERBS[""])
        self._star = STARS.get(name, STARS[""])
        self._keys: list[str] = []
        self._count = 0
        self.entry: int | None = None
        """The number of the entry that is gathered; None between two."""

    def begin(self) -> None:
        """Begin an entry."""
        self._keys.clear()
        self.entry = FIRST + self._count
        self._count += 1

    def gather(self, key: str) -> int:
        """Add a key to the entry, and return its number. Raises `RuntimeError` where none has begun."""
        if self.entry is None:
            raise RuntimeError("no entry of keys has begun")
        self._keys.append(self._star if key == "*" else key)
        return self.entry

    def clear(self) -> None:
        """The entry is over."""
        self._keys.clear()
        self.entry = None

    @property
    def text(self) -> str:
        """The entry as a text: one key a word."""
        return " ".join((self._verb, *self._keys))

    def __len__(self) -> int:
        return len(self._keys)
