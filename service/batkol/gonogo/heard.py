"""Words that were heard in a rehearsal's calls: the caller's as recognized, the agent's as the caller heard them."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from batkol.gonogo.reply_call import RepliesSeen
from batkol.quantity import quantity
from batkol.simulators.client.conversation import Observed


class HeardText(msgspec.Struct, frozen=True):
    """One utterance of the caller's, or one reply of the agent's."""

    part: str  # of the rehearsal
    who: str  # `caller` or `agent`
    text: str  # empty for a token that may not read texts
    words: int
    detail: str = ""

    @property
    def shown(self) -> str:
        """The text, or how many words there are if it may not be read."""
        if self.text or not self.words:
            return self.text or "no word"
        return f"({quantity(self.words, 'word')}; this token does not have the right `texts`)"


def heard_from(part: str, observed: Observed) -> Iterator[HeardText]:
    """Yield the finals of a call, in order, as they were revised."""
    for _, seen in sorted(observed.watch.utterances.items()):
        final = seen.final
        if final is None:
            continue
        text = final.text if seen.revised is None else seen.revised.text
        detail = f"{final.mode}, {final.source}, {final.latency_ms:.0f} ms after speech"
        yield HeardText(part, "caller", text, final.words, detail)


def said_by_agent(part: str, seen: RepliesSeen) -> Iterator[HeardText]:
    """Yield what the agent said in the call with replies, as far as the caller heard it."""
    for reply in (seen.first, seen.interrupted, seen.last):
        if reply is None or reply.ended is None:
            continue
        heard = reply.ended.heard
        latency = reply.started.latency_ms if reply.started is not None else None
        detail = "" if latency is None else f"{latency:.0f} ms after the caller's last word"
        yield HeardText(part, "agent", heard, len(heard.split()), detail)
