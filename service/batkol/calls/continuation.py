"""The search for what was said in a call so far, when its next stream begins here: at this pod, its peers, the store.

It begins when Twilio asks the webhook, while it goes on to connect, and it is bounded: a caller waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from batkol.calls.handovers import Handovers, StreamSoFar
from batkol.conversation.history import ConversationSoFar
from batkol.store.conversations import StoredConversations, StoreUnavailableError

STORE_S: Final = 1.0
"""Seconds that the store has, from the beginning of the search."""

EXPECTED_S: Final = 30.0
"""Seconds for which an answer is kept for a stream that was announced."""

MOST: Final = 1000
"""Searches that are kept for streams to come."""

log = structlog.get_logger()


class Peers(Protocol):
    """The other pods of the agent."""

    async def streams_of(self, call_sid: str, newest: int) -> list[bytes]:
        """Return what the pods tell of a call's streams, each as JSON, within a bound. Raises nothing.

        `newest` is the number of the stream before the one that begins; 0 if it is not known.
        """
        ...


class Nobody:
    """The peers of a pod that has none."""

    async def streams_of(self, call_sid: str, newest: int) -> list[bytes]:  # noqa: ARG002
        """See `Peers`."""
        return []


class SearchResult(NamedTuple):
    """Result of a search."""

    streams: list[StreamSoFar]
    stored: ConversationSoFar | None


class _Search(NamedTuple):
    task: asyncio.Task[SearchResult]
    until: float


class Continuations:
    """One per process."""

    def __init__(self, own: Handovers, store: StoredConversations, agent: str, peers: Peers | None = None) -> None:
        self.own = own
        self.peers: Peers = peers or Nobody()
        self._store = store
        self._agent = agent
        self._clock = asyncio.get_running_loop().time
        self._searches: dict[str, _Search] = {}  # by call SID, in order of their beginning

    async def aclose(self) -> None:
        """End all searches."""
        for call_sid in tuple(self._searches):
            await self._end(self._searches.pop(call_sid))

    def expect(self, call_sid: str, newest: int) -> None:
        """Another stream of the call is about to begin, here or elsewhere: begin to search."""
        now = self._clock()
        if (before := self._searches.pop(call_sid, None)) is not None:
            before.task.cancel()
        while self._searches:
            oldest = next(iter(self._searches))
            if self._searches[oldest].until > now and len(self._searches) < MOST:
                break
            self._searches.pop(oldest).task.cancel()
        task = asyncio.create_task(self._search(call_sid, newest), name="call.continuation")
        self._searches[call_sid] = _Search(task, now + EXPECTED_S)

    async def find(self, call_sid: str, *, stream_sid: str, newest: int, marked: bool) -> StreamSoFar | None:
        """Return where the call stands, for the stream that begins; None for a caller who was not met before.

        `newest` is the number of the stream before, 0 if it is not known. `marked`: the call has the greeted mark.
        Without any record of it, the call goes on then as one whose history is lost. Cancelling it loses nothing.
        """
        known = self._best(self.own.of(call_sid, but=stream_sid))
        if known is not None and known.stream >= newest:
            return known
        streams, stored = await self._found(call_sid, newest)
        found = [*self.own.of(call_sid, but=stream_sid), *streams]
        found = [each for each in found if each.stream_sid != stream_sid]
        best = self._best(found)
        if stored is not None and (best is None or best.stream < newest):
            return self._stream_so_far(newest, stored)
        if best is not None:
            return best
        refused = {each.stream for each in found}
        if marked and not refused.issuperset(range(1, newest + 1)):
            log.warning(
                "[AGENT] call goes on without its history, which no pod and no record has; the caller is not greeted",
                call_sid=call_sid,
            )
            return self._stream_so_far(newest, ConversationSoFar(greeted=True))
        return None

    async def _found(self, call_sid: str, newest: int) -> SearchResult:
        search = self._searches.pop(call_sid, None)
        if search is None or search.until <= self._clock():
            return await self._search(call_sid, newest)
        try:
            return await search.task
        finally:
            await self._end(search)

    async def _search(self, call_sid: str, newest: int) -> SearchResult:
        """Ask the peers and the store at once; the store is not waited for where a peer knows."""
        stored = asyncio.create_task(self._stored(call_sid), name="call.continuation.store")
        try:
            streams = list(self._read(await self.peers.streams_of(call_sid, newest)))
            best = self._best(streams)
            if best is not None and best.stream >= newest:
                return SearchResult(streams, None)
            return SearchResult(streams, await stored)
        finally:
            stored.cancel()

    async def _stored(self, call_sid: str) -> ConversationSoFar | None:
        try:
            messages = await self._store.conversation(call_sid, STORE_S)
        except StoreUnavailableError as error:
            log.warning("[AGENT] the store could not say what was said in a call so far", err=error.reason)
            return None
        return ConversationSoFar.of_messages(messages).bounded() if messages else None

    def _read(self, answers: Iterable[bytes]) -> Iterable[StreamSoFar]:
        for answer in answers:
            with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                for stream in msgspec.json.decode(answer, type=list[StreamSoFar])[:10]:
                    if stream.agent == self._agent:
                        bounded = stream.conversation and stream.conversation.bounded()
                        yield msgspec.structs.replace(stream, conversation=bounded)

    def _stream_so_far(self, stream: int, conversation: ConversationSoFar) -> StreamSoFar:
        return StreamSoFar(agent=self._agent, stream_sid="", stream=stream, conversation=conversation)

    @staticmethod
    def _best(streams: Iterable[StreamSoFar]) -> StreamSoFar | None:
        known = [each for each in streams if each.conversation is not None]
        return max(known, key=lambda each: each.stream, default=None)

    @staticmethod
    async def _end(search: _Search) -> None:
        search.task.cancel()
        await asyncio.wait((search.task,))
