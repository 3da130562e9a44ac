"""The facts of a call that a prompt may name: `{{time}}`, `{{caller}}`, `{{lead}}` and their like (docs/prompts.md).

The author of the prompt decides which of them the model reads, and where. A fact is data, wherever it comes from: a
number is digits or unknown, and what a caller has said is one line of JSON, without invisible characters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from batkol.lead_bounds import lead_text

Worded = TypeVar("Worded")

ENDING: Final = 4
"""Digits of `{{caller_ending}}`."""

_PLACEHOLDER: Final = re.compile(r"\{\{\s*([a-z_]+)(?:\s*:\s*([\w/+-]+))?\s*\}\}", re.ASCII)
_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}", re.ASCII)

_NAMES: Final = ("time", "caller", "caller_ending", "called", "lead")
_UNKNOWN: Final[Mapping[str, str]] = {"he": "לא ידוע", "": "unknown"}
_DAYS: Final = {
    "he": ("שני", "שלישי", "רביעי", "חמישי", "שישי", "שבת", "ראשון"),
    "": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
}
_MONTHS: Final = {
    "he": ("ינואר", "פברואר", "מרץ", "אפריל", "מאי", "יוני", "יולי", "אוגוסט", "ספטמבר", "אוקטובר", "נובמבר", "דצמבר"),
    "": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
}  # fmt: skip
_TIMES: Final = {
    "he": "יום {day}, {date} ב{month} {year}, {clock} (שעון {zone})",
    "": "{day}, {date} {month} {year}, {clock} ({zone})",
}


class PromptFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a call when the answerer is asked: numbers and words of the caller, of which no log has any."""

    now: float
    """Unix seconds."""
    time_zone: str = "UTC"
    """The zone of `{{time}}`, as IANA names it."""
    language: str = ""
    """A BCP 47 tag, as `he-IL`."""
    caller: str = ""
    """The caller's number, as Twilio has it; empty: not known."""
    called: str = ""
    lead: Mapping[str, Any] = {}
    """The fields of the lead that were saved in this call."""
    note: str = ""
    """The end of every prompt of this call."""

    def __repr__(self) -> str:
        """Return no fact: an error may print it."""
        return "PromptFacts(…)"

    def fill(self, prompt: str) -> str:
        """Return the prompt with the facts in the place of their names; what names none stays as it is written."""
        filled = _PLACEHOLDER.sub(self._fact, prompt)
        return "\n\n".join(filter(None, (filled, self.note)))

    def _fact(self, found: re.Match[str]) -> str:
        name, zone = found[1], found[2] or ""
        if name == "time":
            return self._time(zone or self.time_zone) or found[0]
        if zone or name not in _NAMES:
            return str(found[0])
        if name == "lead":
            return lead_text(self.lead)
        number = self._number(self.called if name == "called" else self.caller)
        return number[-ENDING:] if name == "caller_ending" and number[-1].isdecimal() else number

    def _time(self, zone: str) -> str:
        """Return the time there; empty for a zone that is none."""
        if (place := zone_of(zone)) is None:
            return ""
        at = datetime.fromtimestamp(self.now, UTC).astimezone(place)
        return self._worded(_TIMES).format(
            day=self._worded(_DAYS)[at.weekday()],
            date=at.day,
            month=self._worded(_MONTHS)[at.month - 1],
            year=at.year,
            clock=f"{at:%H:%M}",
            zone=zone,
        )

    def _number(self, number: str) -> str:
        """Return a number that is one; an address such as `sip:…` is a text of the caller's own, and is left out."""
        return number if _NUMBER.fullmatch(number) else self._worded(_UNKNOWN)

    def _worded(self, by_language: Mapping[str, Worded]) -> Worded:
        language = self.language.partition("-")[0].lower().replace("iw", "he")
        return by_language.get(language, by_language[""])


def zone_of(name: str) -> ZoneInfo | None:
    """Return a time zone; None for a name that is none, or that this machine does not know."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def check_zone(name: str) -> None:
    """Refuse what is no time zone. Raises `ValueError`, a clause that does not quote it."""
    if zone_of(name) is None:
        raise ValueError("must be a time zone by its IANA name, such as Asia/Jerusalem or UTC")


def check_prompt(prompt: str) -> None:
    """Refuse a prompt that names a fact that there is not. Raises `ValueError`, a clause that quotes no text of it."""
    for found in _PLACEHOLDER.finditer(prompt):
        if found[1] not in _NAMES or (found[2] and found[1] != "time"):
            names = ", ".join(f"{{{{{name}}}}}" for name in _NAMES)
            raise ValueError(f"has a name between {{{{ and }}}} that is none; the names are {names}")
        if found[2] and zone_of(found[2]) is None:
            raise ValueError("has a {{time:…}} whose zone is none; write it as {{time:Asia/Jerusalem}}")
