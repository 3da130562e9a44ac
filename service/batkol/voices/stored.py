"""The last resort: phrases that are stored in the package, for when no voice works.

They were spoken by espeak once (`make_stored`), as the marked words were. Sound that a GPL program makes is not under
the GPL, and nothing of espeak is needed to play them.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from batkol.voices.phrases import Phrase


class Stored(StrEnum):
    """The stored phrases."""

    FILLER = "filler"
    REPEAT = "repeat"
    APOLOGY = "apology"
    GOODBYE = "goodbye"


TEXTS: Final = {
    "he": {
        Stored.FILLER: "רגע אחד, בבקשה.",
        Stored.REPEAT: "סליחה, לא שמעתי טוב. אפשר לחזור על זה?",
        Stored.APOLOGY: "סליחה, יש לנו תקלה זמנית. אפשר לנסות שוב עוד מעט.",
        Stored.GOODBYE: "תודה רבה, להתראות.",
    },
    "en": {
        Stored.FILLER: "One moment, please.",
        Stored.REPEAT: "Sorry, I did not catch that. Could you say it again?",
        Stored.APOLOGY: "Sorry, we have a technical problem. Please try again in a moment.",
        Stored.GOODBYE: "Thank you, goodbye.",
    },
}
"""By language and phrase. After a change, `python -m batkol.voices.make_stored` speaks them again."""

FILE: Final = Path(__file__).with_name("stored.npz")


def stored(phrase: Stored, language: str) -> Phrase:
    """Return a phrase in Hebrew (`he-IL`), or else in English. The first call reads the file: call it at the start."""
    key = language.partition("-")[0].lower()
    return _phrases()[key if key in TEXTS else "en"][phrase]


@cache
def _phrases() -> dict[str, dict[Stored, Phrase]]:
    with np.load(FILE) as file:
        return {
            language: {
                phrase: Phrase(
                    text=str(file[f"{language}.{phrase}.text"]),
                    mulaw=file[f"{language}.{phrase}.mulaw"].tobytes(),
                    word_ends=tuple(file[f"{language}.{phrase}.word_ends"].tolist()),
                )
                for phrase in phrases
            }
            for language, phrases in TEXTS.items()
        }
