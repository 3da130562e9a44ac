"""Readings of OTEL_* variables: each returns the value for the SDK, and why it differs from the given value.

By the specification, a value that cannot be read is ignored, with a warning; the Python SDK raises for many of them,
for some at import. No complaint quotes a value: it may be a secret.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection
from importlib.metadata import entry_points
from typing import Final, NamedTuple
from urllib.parse import unquote

DAY_MS: Final = 86_400_000

_LONGEST_S: Final = 120.0
_HEADER_NAME: Final = re.compile(r"[a-z0-9_.-]+")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*")


class VariableReading(NamedTuple):
    """The value for the SDK ("": as if it were unset), and the fault of the variable ("": none)."""

    value: str
    complaint: str = ""


ReadVariable = Callable[[str], VariableReading]
"""Reads a value that is not empty and has no white space around it."""


def number(least: int, most: int) -> ReadVariable:
    """Make the reading of a whole number within limits; thread and queue libraries overflow with larger ones."""

    def read(given: str) -> VariableReading:
        if given.isascii() and given.isdecimal() and least <= int(given[:20]) <= most:
            return VariableReading(given)
        return VariableReading("", f"is not a whole number from {least} to {most}; the default is used")

    return read


def limit(given: str) -> VariableReading:
    """Read how much a span may hold; `unset` is the SDK's word for "any"."""
    if given.lower() == "unset" or (given.isascii() and given.isdecimal() and len(given) < 10):
        return VariableReading(given)
    return VariableReading("", "is neither a whole number nor `unset`; the default is used")


def one_of(*known: str, default: str) -> ReadVariable:
    """Make the reading of a closed choice, upper or lower case."""

    def read(given: str) -> VariableReading:
        if given.lower() in known:
            return VariableReading(given.lower())
        return VariableReading("", f"is none of {', '.join(known)}; {default} is used")

    return read


def timeout(given: str) -> VariableReading:
    """Read a time-out. The specification means milliseconds, the Python SDK seconds: above 120 it is milliseconds."""
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if seconds > _LONGEST_S:
        seconds /= 1000
    if 0 < seconds <= DAY_MS / 1000:
        return VariableReading(f"{seconds:g}")
    return VariableReading("", "is not a number of seconds (above 120: of milliseconds); 10 s is used")


def ratio(given: str) -> VariableReading:
    """Read the share of traces that are sampled."""
    try:
        share = float(given)
    except ValueError:
        share = math.nan
    if 0 <= share <= 1:
        return VariableReading(given)
    return VariableReading("", "is not a number from 0 to 1; 1 is used, which samples everything")


def protocol(given: str) -> VariableReading:
    """Read OTLP's transport; one that is not known is left for the exporters to refuse."""
    if given.lower() == "http/json":
        return VariableReading(
            "http/protobuf", "is http/json, which no Python exporter speaks; http/protobuf is sent instead"
        )
    return VariableReading(given.lower())


def headers(given: str) -> VariableReading:
    """Keep the headers that HTTP and gRPC can carry. An exporter would raise at each export, with them in its text."""
    pairs = [pair.strip() for pair in given.split(",") if pair.strip()]
    kept = [pair for pair in pairs if _is_header(pair)]
    left_out = len(pairs) - len(kept)
    problem = f"has {left_out} of {len(pairs)} headers that are not name=value in printable ASCII; they are not sent"
    return VariableReading(",".join(kept), problem if left_out else "")


def _is_header(pair: str) -> bool:
    name, found, value = pair.partition("=")
    name = unquote(name).strip().lower()
    fits = _HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(unquote(value)) and ";" not in value
    return bool(found and fits) and not name.endswith("-bin")


def attributes(given: str) -> VariableReading:
    """Keep the attributes that are pairs."""
    pairs = [pair.strip() for pair in given.split(",") if pair.strip()]
    kept = [pair for pair in pairs if "=" in pair and pair.partition("=")[0].strip()]
    left_out = len(pairs) - len(kept)
    problem = f"has {left_out} of {len(pairs)} attributes that are not name=value; they are left out"
    return VariableReading(",".join(kept), problem if left_out else "")


def patterns(given: str) -> VariableReading:
    """Keep regular expressions, separated by commas, if they are some; the instrumentation would raise at a request."""
    try:
        for each in given.split(","):
            re.compile(each.strip())
        re.compile("|".join(each.strip() for each in given.split(",")))
    except (re.error, RecursionError, OverflowError):
        return VariableReading("", "is not a list of regular expressions; it is not used")
    return VariableReading(given)


def installed(group: str) -> ReadVariable:
    """Make the reading of names, separated by commas, of which each must be an entry point that is installed."""

    def read(given: str) -> VariableReading:
        known: Collection[str] = {"*", *entry_points(group=group).names}
        names = [name.strip() for name in given.split(",") if name.strip()]
        kept = [name for name in names if name in known]
        left_out = len(names) - len(kept)
        problem = f"has {left_out} of {len(names)} names that are not installed; they are left out"
        return VariableReading(",".join(kept), problem if left_out else "")

    return read


def unsupported(why: str) -> ReadVariable:
    """Make the reading of what Batkol does not read, and what would change more than telemetry."""

    def read(_: str) -> VariableReading:
        return VariableReading("", why)

    return read
