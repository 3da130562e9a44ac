"""The commands that `batkol demo --stay` prints."""

from __future__ import annotations

import re


def commands(printed: str) -> list[str]:
    """Return each as a shell takes it: a line that is indented by four, with those that go on after a backslash."""
    found: list[str] = []
    for line in printed.splitlines():
        if found and found[-1].endswith("\\"):
            found[-1] += f"\n{line}"
        elif re.match(r" {4}(?! |http)", line):
            found.append(line.strip())
    return found
