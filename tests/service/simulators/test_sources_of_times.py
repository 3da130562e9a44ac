"""Every time of a recognizer's double has a source, or says that it is a guess: a table of figures rests on them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import batkol.simulators

SIMULATORS = Path(batkol.simulators.__file__).parent
SAID = re.compile(r"\[[DIB]\]|a guess|A fixed time", re.IGNORECASE)
NO_TIMES_OF_THE_VENDOR = {"connection_age_s", "connection_grace_s"}
"""Faults, which are off by default."""


def times(file: Path) -> dict[str, str]:
    """The times and paces of the settings with what stands below each; one without a text shares that above it."""
    (settings,) = (node for node in ast.parse(file.read_text("utf-8")).body if isinstance(node, ast.ClassDef))
    found: dict[str, str] = {}
    names: list[str] = []
    for node in settings.body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
                found[name] = found[names[-2]] if len(names) > 1 else ""
            case ast.Expr(value=ast.Constant(value=str(text))) if names:
                found[names[-1]] = text
            case _:
                pass
    return {name: text for name, text in found.items() if re.search(r"_(s|ms|factor|per_minute)$", name)}


@pytest.mark.parametrize("vendor", ["google", "soniox"])
def test_every_time_of_a_double_has_its_source_or_is_a_guess(vendor: str) -> None:
    found = times(SIMULATORS / vendor / "settings.py")

    assert len(found) >= 10
    assert [name for name, text in found.items() if not SAID.search(text) and name not in NO_TIMES_OF_THE_VENDOR] == []
