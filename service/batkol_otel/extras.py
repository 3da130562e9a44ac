"""The packages that a program needs: they come with an extra of the distribution, and may not be installed.

It uses the standard library alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence


def run(program: str, extra: str, start: Callable[[], object]) -> None:
    """Run a program. If packages of its extra are missing, a sentence says what to install; the exit code is then 2."""
    try:
        start()
    except ModuleNotFoundError as error:
        missing = missing_packages(extra)
        if not missing:
            raise
        sys.stderr.write(f"{program}: {remedy(error.name or missing[0], extra, missing)}\n")
        sys.exit(2)


def missing_packages(extra: str) -> list[str]:
    """Return the packages of an extra that are not installed; none if Batkol is not installed as a distribution."""
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415  slow, and rarely needed

    def is_missing(name: str) -> bool:
        try:
            distribution(name)
        except PackageNotFoundError:
            return True
        return False

    if is_missing("batkol"):
        return []
    needed = (line.partition(";") for line in distribution("batkol").requires or ())
    named = (re.split(r"[^\w.-]", line)[0] for line, _, marker in needed if re.search(rf"\b{extra}\b", marker))
    return [name for name in named if is_missing(name)]


def remedy(module: str, extra: str, missing: Sequence[str]) -> str:
    """Return a sentence with what is missing and what to do."""
    others = f", and {len(missing)} packages are missing" if len(missing) > 1 else ""
    return (
        f"The Python module {module} is not installed{others}. Install Batkol with its extra `{extra}`: "
        f"run pip install '.[{extra}]' in Batkol's folder."
    )
