"""Tokens that change their mind and times that go back, as Soniox's own do: the profile `untidy` of its double.

What is not final may be another word, or gone, or cut into other tokens, with every message (soniox.com/docs,
real-time transcription: "may change, disappear, or be replaced"). A token may end before the one before it, or have no
time at all (livekit/agents, issue 6885 and pull request 6976, which saw that in finals; how often and by how much is a
guess). The text of finals is right.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType

from batkol.simulators.soniox.settings import SonioxDoubleSettings
from batkol.voices.marked.voice import WORDS

REPLACED, GONE, RECUT = 0.15, 0.10, 0.15
"""Shares of the messages in which that happens to a word that is not final."""

BACK, TIMELESS = 0.25, 0.10
"""Shares of the tokens behind a word's first, final ones too, that end before the one before them; and of all tokens,
that have no time."""

BACK_MS: Final = (20, 80)
"""The least time by which such a token ends before the end of the one before it, and what is more than the most."""

_STEP_MS: Final = 20


class SonioxUntidiness:
    """One per session. `draw` is its source of chance."""

    __slots__ = ("_draw", "_seed")

    def __init__(self, settings: SonioxDoubleSettings, draw: random.Random) -> None:
        self._draw = draw
        self._seed = settings.seed

    def change(self, texts: Sequence[str]) -> list[str]:
        """Return the texts of the tokens that are not final, as they are understood this time; "" leaves one out.

        Whole words are changed, those that begin with a space: the first token may belong to a word that is final in
        part. What is cut anew is a space that becomes a token of its own, or that is missing.
        """
        texts = list(texts)
        begins = [number for number, text in enumerate(texts) if text.startswith(" ") and text.strip()]
        if not begins:
            return texts
        chance, at = self._draw.random(), self._draw.randrange(len(begins))
        first = begins[at]
        end = begins[at + 1] if at + 1 < len(begins) else len(texts)
        if chance < REPLACED:
            texts[first:end] = [" " + self._draw.choice(WORDS), *[""] * (end - first - 1)]
        elif chance < REPLACED + GONE:
            texts[first:end] = [""] * (end - first)
        elif chance < REPLACED + GONE + RECUT:
            texts[first] = texts[first].strip()
        return texts

    def misdate(self, tokens: Sequence[dict[str, Any]]) -> None:
        """Let times go back, or be missing: of the same token always the same ones."""
        for token in tokens:
            if "end_ms" not in token:
                continue
            draw = random.Random(f"{self._seed}/times/{token['start_ms']}/{token['end_ms']}")
            chance = draw.random()
            if chance < TIMELESS:
                del token["start_ms"], token["end_ms"]
            elif chance < TIMELESS + BACK and token["text"].strip() == token["text"]:
                back = draw.randrange(*BACK_MS, _STEP_MS) + token["end_ms"] - token["start_ms"]
                token["start_ms"] = max(0, token["start_ms"] - back)
                token["end_ms"] = max(token["start_ms"], token["end_ms"] - back)


def misdate(
    message: dict[str, Any], *, times_ms: float | UnsetType | None, totals_ms: float | UnsetType | None
) -> None:
    """Give a message times that cannot be; what is `UNSET` stays. A marker has no time."""
    for token in message["tokens"] if times_ms is not UNSET else ():
        if "end_ms" in token:
            token["start_ms"] = token["end_ms"] = times_ms
    if totals_ms is not UNSET:
        message["final_audio_proc_ms"] = message["total_audio_proc_ms"] = totals_ms
