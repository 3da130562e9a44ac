"""The settings of how a call ends from within: part of `batkol.settings.Settings`, and read with it."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final

import msgspec
from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from batkol import strict_json
from batkol.conversation.limits import CallLimits
from batkol.environment import EnvironmentSettings

MOST_LABELS: Final = 50
LONGEST_LABEL: Final = 64
LONGEST_TARGET: Final = 255
"""Characters of a SIP URI that Twilio takes."""

_BUDGET: Final = '{"tokens": 50000, "minutes": 10}'
_TARGETS: Final = '{"sales": "+972501234567"}'
_LABEL: Final = re.compile(r"[^\W_][\w -]*")
_NUMBER: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_SIP: Final = re.compile(r"sips?:[^\s@<>\"'&]+@[^\s@<>\"'&]+")


class ReplyBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The value of REPLY_BUDGET. 0: no limit."""

    tokens: Annotated[int, msgspec.Meta(ge=0)] = 0
    minutes: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    characters: Annotated[int, msgspec.Meta(ge=0)] = 0


class LimitFields(EnvironmentSettings):
    """Environment variables are the upper-case field names."""

    free_texts: ClassVar[frozenset[str]] = frozenset({"transfer_allowed", "reply_budget"})

    longest_call_s: float = Field(
        0.0, ge=0, le=86_400, description="Longest call, s; the agent says so, and the call ends. 0: no limit."
    )
    reply_budget: str = Field(
        "",
        description=(
            "Most that the replies of one call may use, JSON: `tokens` of the answerer, `minutes` of sound and "
            "`characters` of text of the voice."
        ),
    )
    transfer_allowed: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description="To whom a call may be transferred, JSON: label to number (`+972…`) or SIP URI (`sip:…`).",
        repr=False,
    )

    @field_validator("reply_budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        try:
            msgspec.convert(strict_json.of_variable(value or "{}", _BUDGET), ReplyBudget)
        except msgspec.ValidationError as error:
            raise ValueError(f"must be JSON such as {_BUDGET}: {error}") from None
        return value

    @field_validator("transfer_allowed", mode="before")
    @classmethod
    def _targets_json(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = strict_json.of_variable(value, _TARGETS, keys_shown=False) if value else {}
        if not (isinstance(found, dict) and all(isinstance(target, str) for target in found.values())):
            raise ValueError(f"must be JSON such as {_TARGETS}: an object of texts")
        return found

    @field_validator("transfer_allowed")
    @classmethod
    def _targets(cls, value: dict[str, str]) -> dict[str, str]:
        check_transfers(value)
        return value

    @property
    def limits(self) -> CallLimits:
        """The limits of each call."""
        budget = msgspec.json.decode(self.reply_budget or "{}", type=ReplyBudget)
        return CallLimits(
            longest_call_s=self.longest_call_s,
            tokens=budget.tokens,
            minutes=budget.minutes,
            characters=budget.characters,
        )


def check_transfers(transfers: dict[str, str]) -> None:
    """Refuse a label or a target that cannot work; no number is quoted. Raises `ValueError`, a clause."""
    if len(transfers) > MOST_LABELS:
        raise ValueError(f"has more than {MOST_LABELS} labels")
    for place, (label, target) in enumerate(transfers.items(), 1):  # a label may be a number, by mistake
        if len(label) > LONGEST_LABEL or not _LABEL.fullmatch(label):
            raise ValueError(
                f"has a label that is none: use letters, digits, spaces, - and _, {LONGEST_LABEL} characters at most"
            )
        if len(target) > LONGEST_TARGET or not (_NUMBER.fullmatch(target) or _SIP.fullmatch(target)):
            raise ValueError(
                f"has target {place}, which cannot be called: write a number with its country (+972501234567), or "
                "a SIP URI (sip:name@host)"
            )
