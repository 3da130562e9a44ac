"""What queries and rules find in a Prometheus: which draw nothing, and which ask for what nobody exposes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress

from support.prometheus.observed import selectors
from support.prometheus.server import Prometheus
from support.telemetry.promql import named
from support.time.waiting import eventually


async def empty_of(
    seen: Prometheus, asked: Mapping[str, str], *, since: float, step: float = 1.0, listed: Collection[str]
) -> set[str]:
    """The queries that draw nothing on a page from `since` on; those that are not `listed` are waited for."""
    drawn: set[str] = set()

    async def all_but_the_listed() -> bool:
        for where, query in asked.items():
            if where not in drawn and await seen.drawn(query, since=since, step=step):
                drawn.add(where)
        return drawn >= set(asked) - set(listed)

    with suppress(TimeoutError):  # what is drawn by then is compared
        await eventually(all_but_the_listed, 20)
    return set(asked) - drawn


async def missing_of(seen: Prometheus, asked: Mapping[str, str]) -> set[str]:
    """The selectors, with each alternative of a label, that have matched no series; and labels that none has."""
    missing: set[str] = set()
    for where, query in asked.items():
        found = named(query)
        known: set[str] = set()
        for metric, _ in found.selected:
            known |= {label for each in await seen.ever(metric) for label in each}
        missing |= {f"{where} groups by {label}" for label in found.grouped - known if known}
        wanted = {metric for metric, _ in found.selected} | set(selectors(query))
        missing |= {selector for selector in wanted if not await seen.ever(selector)}
    return missing
