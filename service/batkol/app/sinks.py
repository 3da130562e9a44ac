"""The sinks of a service: made by its settings, run beside its calls, and ended after the last of them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from functools import partial

from batkol.app.service import Service
from batkol.settings import Settings
from batkol.sinks.build import build
from batkol.sinks.drainers import DrainerOptions, Drainers, Pod, running_drainers
from batkol.sinks.limits import DrainerLimits
from batkol.sinks.sinks import Sinks, run_partials
from batkol.store.options import OutboxSettings
from batkol.store.store import Store
from batkol.supervision.tasks import Tasks


def outbox(settings: Settings) -> OutboxSettings | None:
    """Return what the store writes for the sinks; None if no sink gets anything out of the store."""
    names = tuple(name for name, spec in settings.sinks.items() if spec.needs_store)
    return OutboxSettings(settings.voice_agent, names) if names else None


async def sinks(service: Service, stack: AsyncExitStack, tasks: Tasks, limits: DrainerLimits) -> Sinks:
    """Run the sinks that the settings name. Leaving `stack` hands the last events on; other pods take over.

    The store must be entered before, and the calls be ended when it is left.
    """
    settings, store = service.settings, service.store
    made = build(settings.sinks, settings.sink_secrets())
    of_store = tuple(each for each in made if each.settings.needs_store)
    drainers: Drainers | None = None
    if of_store and isinstance(store, Store):
        options = DrainerOptions(
            patience=store.database.patience, limits=limits, on_delay=service.metrics.sink_delivered
        )
        of = Pod(settings.voice_agent, settings.pod_name)
        drainers = await stack.enter_async_context(
            running_drainers([each.feed for each in of_store], store.database.where, of, tasks, options)
        )
        store.writer.on_events = drainers.wake
    for each in made:
        if each not in of_store:
            stack.push_async_callback(each.sink.aclose)
    found = Sinks(made, drainers, await run_partials(made, service.bus, tasks, stack), settings.pod_name)
    if isinstance(store, Store):
        stack.push_async_callback(partial(found.finish, store.writer.flush))
    found.expose(service.metrics)
    return found
