"""Answers by any server with OpenAI's `POST /v1/chat/completions`, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx

from batkol.answering import refusals
from batkol.answering.answerer import AnswererError, AnswerPart, Question
from batkol.answering.chat import ChatStream, limit_of_tokens, request_body
from batkol.answering.patience import AnswerPatience, Limits
from batkol.answering.server import EARLY_CHARACTERS, HOLD_S, SLICE, AnswererServer
from batkol.answers import AnswerError, exchange
from batkol.errors import OnOutcome, unwatched
from batkol.http_client.ending import read_to_end
from batkol.urls import masked, without_login

_LIMITS: Final = Limits()
_LARGEST_LIST: Final = 4 << 20  # of models, when warming up
_USAGE: Final = {"stream_options": {"include_usage": True}}
"""The wish for the tokens of an answer, which come in a last chunk. OpenAI, Azure, vLLM and most others take it."""
_MAY_REFUSE: Final = frozenset({httpx.codes.BAD_REQUEST, httpx.codes.UNPROCESSABLE_ENTITY})
"""Statuses of servers that do not know that wish. The same question without it is then sent at once."""


@dataclass(slots=True)
class AnswererFigures:
    """Counts of answers since the start, each in one of the middle rows in the end."""

    asked: int = 0
    finished: int = 0
    cancelled: int = 0
    failed: int = 0
    cut_short: int = 0
    """Finished answers that had reached the limit of tokens."""
    tool_calls: int = 0
    """Tool calls of finished answers."""
    resent: int = 0
    """Questions that were sent again because the server had closed the connection that was kept."""


class OpenAIAnswerer:
    """`url` ends before `/chat/completions`, so mostly in `/v1`; `prompt` is for questions that have none of their own.

    `options` are further parameters of every request, such as `reasoning_effort`. Answers are not compressed, have
    limits of size and time, and no redirect is followed. A user and password in the URL go into the Authorization
    header, in the place of `api_key`. After its beginning an answer is read every `hold_s` seconds; 0: as it comes. At
    most `connections` answers come at once; one more is refused. Proxies are those of the environment, as for Whisper.
    """

    def __init__(
        self,
        *,
        url: str,
        model: str,
        api_key: str = "",
        prompt: str = "",
        max_tokens: int = 300,
        temperature: float | None = None,
        options: Mapping[str, Any] | None = None,
        limits: Limits = _LIMITS,
        hold_s: float = HOLD_S,
        connections: int = 200,
        name: str = "openai",
        on_outcome: OnOutcome = unwatched,
    ) -> None:
        self.figures = AnswererFigures()
        self._name = name
        self._on_outcome = on_outcome
        self._who = f"The answerer {name} ({masked(without_login(url)[0])})"
        self._model = model
        self._prompt = prompt
        self._asks_usage = True
        self._limits = limits
        warmth = {} if temperature is None else {"temperature": temperature}
        self._options = {**limit_of_tokens(model, max_tokens), **warmth, **(options or {})}
        self._server = AnswererServer(
            self._who,
            url.rstrip("/"),
            path="/chat/completions",
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            limits=limits,
            connections=connections,
            refused=refusals.refused,
        )
        # With a proxy in between, httpx's own transport gives out one chunk at a time, however many have come.
        self._hold_s = 0.0 if self._server.proxied else hold_s

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return self._name

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer.answer`. Closing it, or cancelling the wait for a part, closes the connection at once."""
        figures, stream = self.figures, ChatStream(self._who)
        figures.asked += 1
        ended = False
        try:
            async with aclosing(self._texts(question, stream)) as texts:
                async for text in texts:
                    self._on_outcome(None)
                    yield text
            for call in (calls := stream.calls.whole()):
                yield call
            if stream.usage is not None:
                yield stream.usage
            ended = True
            self._on_outcome(None)
            figures.tool_calls += len(calls)
            figures.finished += 1
            figures.cut_short += stream.finish_reason == "length"
        except AnswererError as error:
            ended = True
            figures.failed += 1
            self._on_outcome(error)
            raise
        finally:
            figures.cancelled += not ended
            figures.resent = self._server.resent

    async def warm_up(self, connections: int = 1) -> None:
        """Open connections before the first question needs them, by asking for the list of models.

        Raises `AnswererError` if the server cannot be reached or refuses the key. Another refusal is none: the
        connection is there.
        """
        try:
            await asyncio.gather(*(self._warm_one() for _ in range(connections)))
        except AnswererError as error:
            self._on_outcome(error)
            raise
        self._on_outcome(None)

    async def aclose(self) -> None:
        """Close the connections; answers under way end in an `AnswererError`."""
        await self._server.aclose()

    async def _texts(self, question: Question, stream: ChatStream) -> AsyncGenerator[str, None]:
        patience = AnswerPatience(self._limits, self._who)
        response = await self._opened(question, patience)
        try:
            await self._server.check(response, patience)
            async with aclosing(response.aiter_raw()) as pieces:  # type: ignore[type-var]  # a generator, in truth
                while not stream.done and (piece := await self._next(pieces, patience, stream)) is not None:
                    for start in range(0, len(piece), SLICE):
                        before = stream.parts_of_calls
                        for text in stream.feed(piece[start : start + SLICE]):
                            yield text
                            patience.progressed()
                        if stream.parts_of_calls != before:
                            patience.progressed()
                        if start + SLICE < len(piece):
                            await asyncio.sleep(0)
                if stream.done:
                    await read_to_end(pieces)
        finally:
            await response.aclose()
        stream.end()

    async def _opened(self, question: Question, patience: AnswerPatience) -> httpx.Response:
        """Send the question, with the wish for its usage unless the server is known to refuse that wish."""
        response = await self._server.ask(self._content(question), patience)
        if not self._asks_usage or response.status_code not in _MAY_REFUSE:
            return response
        await response.aclose()
        response = await self._server.ask(self._content(question, usage=False), patience)
        self._asks_usage = response.status_code != httpx.codes.OK  # else something else was refused
        return response

    def _content(self, question: Question, *, usage: bool = True) -> bytes:
        options = {**_USAGE, **self._options} if usage and self._asks_usage else self._options
        return request_body(question, model=self._model, prompt=self._prompt, options=options)

    async def _next(self, pieces: AsyncIterator[bytes], patience: AnswerPatience, stream: ChatStream) -> bytes | None:
        """Return the next bytes of the body, after a while if its beginning is there; None at its end."""
        if stream.characters > EARLY_CHARACTERS and self._hold_s and not (stream.finish_reason or stream.calls):
            await asyncio.sleep(self._hold_s)
        return await self._server.next(pieces, patience)

    async def _warm_one(self) -> None:
        url = self._server.at("/models")
        try:
            within_s = self._limits.first_s
            answer = await exchange(self._server.client, "GET", url, within_s=within_s, largest=_LARGEST_LIST)
        except AnswerError:
            return  # it speaks HTTP; what it lists is not needed
        except (httpx.TransportError, TimeoutError) as error:
            raise self._server.unavailable(error) from error
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise refusals.refused(self._who, answer.status, answer.body)
