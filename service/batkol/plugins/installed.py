"""Plug-ins that are installed: entry points of distributions, by name. None of their code runs here."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from batkol.errors import ConfigurationError
from batkol.plugins.contract import GROUP


class Installed(NamedTuple):
    """A plug-in that is installed and wanted."""

    name: str
    version: str
    """The version of its distribution."""
    entry: EntryPoint


def installed(names: Sequence[str]) -> list[Installed]:
    """Find the plug-ins with these names, in this order.

    It reads the metadata of every distribution, some 0.1 s, unless no name is given. Raises `ConfigurationError` for a
    name that no distribution has, or more than one.
    """
    if not names:
        return []
    found = entry_points(group=GROUP)
    return [_one(name, [each for each in found if each.name == name], found.names) for name in names]


def _one(name: str, entries: Sequence[EntryPoint], others: set[str]) -> Installed:
    if not entries:
        known = ", ".join(sorted(others)) or "none"
        raise ConfigurationError(
            f"PLUGINS names {name}, and no installed package has an entry point of that name in the group {GROUP}; "
            f"installed are: {known}"
        )
    distributions = {each.dist.name for each in entries if each.dist is not None}
    if len({each.value for each in entries}) > 1:
        raise ConfigurationError(
            f"PLUGINS names {name}, and several installed packages have it: {', '.join(sorted(distributions))}; "
            "uninstall all but one"
        )
    entry = entries[0]
    return Installed(name, entry.dist.version if entry.dist is not None else "", entry)
