"""The summaries of ended calls, if they are wanted: who makes them, and of which calls."""

from __future__ import annotations

from contextlib import AsyncExitStack

from batkol.app.service import Service
from batkol.store.store import NoStore
from batkol.store.summarizer import Summarizer, SummaryMaker
from batkol.supervision.tasks import Tasks


async def summaries(service: Service, stack: AsyncExitStack, tasks: Tasks) -> None:
    """Have ended calls summed up by the agent's own answerer, while the service runs."""
    settings, agent = service.settings, service.agent
    if not settings.summary_prompt or isinstance(service.store, NoStore) or agent is None:
        return
    maker = SummaryMaker(
        answerer=lambda call_sid: agent.speakers(call_sid).answerer,
        prompt=settings.summary_prompt,
        agent=settings.voice_agent,
        language=settings.gcp_stt_language,
    )
    summarizer = Summarizer(service.store.database.reading, maker)
    summarizer.expose(service.metrics)
    await tasks.own(stack, summarizer.run, "store.summaries")
