"""The fields of the lead that the agent saves by its tool `save_lead`, as far as one call knows them."""

from __future__ import annotations

from typing import Any, Final

import msgspec

SAVED: Final = "saved"
"""The result of a call that saved fields, for the model."""


def save_fields(lead: dict[str, Any], arguments: str) -> None:
    """Take the fields of a call of the tool into the lead; null clears one. Arguments that are no object save none."""
    try:
        fields = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return
    if isinstance(fields, dict):
        lead.update(fields)
        for name in [name for name, value in lead.items() if value is None]:
            del lead[name]
