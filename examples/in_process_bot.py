"""A bot inside the service: it hears every final of the pod's calls, and says what it heard. No HTTP, no token.

It is a plug-in: a package that is installed beside Batkol has this entry point, and PLUGINS=echo runs it.

    [project.entry-points."batkol.plugins"]
    echo = "in_process_bot:bot"
"""

from contextlib import suppress

from batkol.events.events import FinalText
from batkol.plugins import NotLiveError, PluginHost


async def bot(batkol: PluginHost) -> None:
    """Answer until the service ends."""
    async for event in batkol.events(types=["final"]):
        if isinstance(event, FinalText) and event.text and not event.unvoiced:
            with suppress(NotLiveError):  # the caller may have hung up
                await batkol.call(event.call_sid).say(f"כן {event.text}")
