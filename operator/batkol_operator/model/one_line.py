"""Texts that become variables of the pods: a pod does not start with what is not one line there."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import StringConstraints

OneLine = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=253,
        pattern=r"^[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?$",
    ),
]
"""One line with no white space around it and nothing invisible in it."""

WITHOUT_NUL: Final = r"^[^\x00]*$"
"""Any text without a NUL, which no variable may have."""
