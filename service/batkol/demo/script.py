"""The script of the demo's call: the caller's words, the answers of the model's double, and who interrupts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STREAMING: Final = "streaming"
SINGLE: Final = "single"


@dataclass(frozen=True, slots=True)
class DemoTurn:
    """One turn. The caller can say only the marked words, which the speech double hears."""

    words: tuple[str, ...]
    answer: str
    mode: str = STREAMING  # that the flag asks for
    hum_at: int | None = None  # the piece of the answer at whose beginning the caller hums
    interrupted_at: int | None = None  # the piece at whose beginning the caller says the next turn's words

    @property
    def text(self) -> str:
        return " ".join(self.words)


DemoScript = tuple[DemoTurn, ...]

GREETING: Final = "שלום, הגעתם למרפאה. איך אפשר לעזור?"
SCRIPT: Final[DemoScript] = (
    DemoTurn(("שלום", "אני", "רוצה", "לקבוע", "תור"), "בשמחה. מתי נוח לכם לבוא?"),
    DemoTurn(
        ("מחר", "בוקר", "בבקשה"),
        "מחר יש שלושה תורים. הראשון הוא בשמונה וחצי. השני הוא בעשר ורבע, והשלישי באחת עשרה. מה מהם מתאים לכם?",
        interrupted_at=1,
    ),
    DemoTurn(("לא", "אני", "רוצה", "מחר", "ערב"), "סליחה. מחר בשש יש תור."),
    DemoTurn(("כן", "מה", "כתובת"), "רחוב הרצל עשר, בקומה השנייה.", mode=SINGLE),
    DemoTurn(
        ("מה", "מספר", "טלפון"),
        "המספר הוא כוכבית שבע. אפשר להתקשר אלינו בכל יום, משמונה בבוקר עד שמונה בערב.",
        hum_at=1,
    ),
    DemoTurn(("תודה", "שלום"), "תודה לכם, ולהתראות."),
)
"""A call of some 40 seconds. Turns that interrupt keep the flag."""
SHORT_SCRIPT: Final[DemoScript] = (
    DemoTurn(
        ("שלום", "אני", "רוצה", "תור"),
        "מחר יש שלושה תורים. הראשון הוא בשמונה וחצי, ברחוב הרצל. השני הוא בעשר ורבע. מה מהם מתאים לכם?",
        hum_at=1,
        interrupted_at=2,
    ),
    DemoTurn(("לא", "ערב", "בבקשה"), "סליחה. יש תור בשש."),
    DemoTurn(("כן", "תודה"), "רשמתי אתכם.", mode=SINGLE),
    DemoTurn(("תודה", "שלום"), "להתראות."),
)
"""The same for a short call."""
