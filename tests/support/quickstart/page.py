"""docs/quickstart.md: its commands, and the lines that it says Batkol prints."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = (Path(__file__).parents[3] / "docs" / "quickstart.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    """Every block of commands, in order."""
    return re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def printed(heading: str) -> list[str]:
    """The lines that are shown under a heading, without their indentation."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (\S.*)$", section, flags=re.MULTILINE)
