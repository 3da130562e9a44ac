"""Answers by any server with OpenAI's `POST /v1/chat/completions`, streamed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final

import httpx

from batkol.answering import refusals
from batkol.answering.answerer import AnswererError, Question
from batkol.answering.chat import ChatStream, limit_of_tokens, request_body
from batkol.answering.patience import AnswerPatience, Limits
from batkol.answers import PLAIN, AnswerError, body, check_plain, exchange, no_cookies
from batkol.http_client.poster import Poster
from batkol.http_client.transport import HttpTransport, has_proxy
from batkol.urls import masked, without_login

_LIMITS: Final = Limits()
_LARGEST_REFUSAL: Final = 64 * 1024
_LARGEST_LIST: Final = 4 << 20  # of models, when warming up
_SLICE: Final = 8 * 1024
"""Bytes of an answer that are parsed before other calls have their turn."""
_EARLY_CHARACTERS: Final = 30
"""The beginning of an answer, which is read as it comes: enough for the first piece that a voice can speak."""
_HOLD_S: Final = 0.15
"""Seconds between two reads of the rest: tokens then come several at once, for each wakes the process, which is most of
the CPU of an answer (ADR 0022). The voice is speaking by then."""
_LAST_READS: Final = 4
_LAST_S: Final = 0.02
"""For the end of an answer whose last text is there: what ends in that time leaves its connection to the next one."""
_STALE_S: Final = 1.0
"""A kept connection that the server closed meanwhile is found out sooner than this."""
_KEPT_S: Final = 120.0
"""An idle connection is kept this long, unless the server closes it."""


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
    """Chunks with parts of tool calls; they are not carried out."""
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
        hold_s: float = _HOLD_S,
        connections: int = 200,
        name: str = "openai",
    ) -> None:
        base, login = without_login(url)
        self.figures = AnswererFigures()
        self._name = name
        self._who = f"The answerer {name} ({masked(base)})"
        self._model = model
        self._prompt = prompt
        self._limits = limits
        warmth = {} if temperature is None else {"temperature": temperature}
        self._options = {**limit_of_tokens(model, max_tokens), **warmth, **(options or {})}
        self._url = httpx.URL(base.rstrip("/"))
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        proxied = has_proxy(self._url)
        self._hold_s = 0.0 if proxied else hold_s  # httpx's own gives out one chunk at a time, however many have come
        transport = None if proxied else HttpTransport(self._url, most=connections, kept_s=_KEPT_S)
        self._client = httpx.AsyncClient(
            auth=login,
            headers={**headers, **PLAIN},
            timeout=httpx.Timeout(None, connect=limits.connect_s, write=limits.connect_s, pool=limits.connect_s),
            limits=httpx.Limits(
                max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEPT_S
            ),
            # With a proxy in between, httpx's own transport asks.
            transport=transport,
            cookies=no_cookies(),
        )
        path, headers = str(self._at("/chat/completions")), {"Accept": "text/event-stream"}
        self._poster = Poster(self._client, path, headers=headers, transport=transport, login=login)

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return self._name

    async def answer(self, question: Question) -> AsyncGenerator[str, None]:
        """See `Answerer.answer`. Closing it, or cancelling the wait for a text, closes the connection at once."""
        figures, stream = self.figures, ChatStream(self._who)
        figures.asked += 1
        ended = False
        try:
            async with aclosing(self._texts(question, stream)) as texts:
                async for text in texts:
                    yield text
            ended = True
            figures.finished += 1
            figures.cut_short += stream.finish_reason == "length"
        except AnswererError:
            ended = True
            figures.failed += 1
            raise
        finally:
            figures.cancelled += not ended
            figures.tool_calls += stream.tool_calls

    async def warm_up(self, connections: int = 1) -> None:
        """Open connections before the first question needs them, by asking for the list of models.

        Raises `AnswererError` if the server cannot be reached or refuses the key. Another refusal is none: the
        connection is there.
        """
        await asyncio.gather(*(self._warm_one() for _ in range(connections)))

    async def aclose(self) -> None:
        """Close the connections; answers under way end in an `AnswererError`."""
        await self._client.aclose()

    async def _texts(self, question: Question, stream: ChatStream) -> AsyncGenerator[str, None]:
        patience = AnswerPatience(self._limits, self._who)
        content = request_body(question, model=self._model, prompt=self._prompt, options=self._options)
        response = await self._ask(content, patience)
        try:
            await self._check(response, patience)
            async with aclosing(response.aiter_raw()) as pieces:  # type: ignore[type-var]  # a generator, in truth
                while not stream.done and (piece := await self._next(pieces, patience, stream)) is not None:
                    for start in range(0, len(piece), _SLICE):
                        before = stream.tool_calls
                        for text in stream.feed(piece[start : start + _SLICE]):
                            yield text
                            patience.progressed()
                        if stream.tool_calls != before:
                            patience.progressed()
                        if start + _SLICE < len(piece):
                            await asyncio.sleep(0)
                if stream.done:
                    await _read_to_end(pieces)
        finally:
            await response.aclose()
        stream.end()

    def _at(self, path: str) -> httpx.URL:
        return self._url.copy_with(path=self._url.path.rstrip("/") + path)

    async def _ask(self, content: bytes, patience: AnswerPatience) -> httpx.Response:
        """Send the request; return the response with its body unread. A stale connection costs no answer."""
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            return await patience.wait(self._poster.post(content))
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
            if clock() - began > _STALE_S:
                raise self._unavailable(error) from error
        except httpx.TransportError as error:
            raise self._unavailable(error) from error
        self.figures.resent += 1
        try:
            return await patience.wait(self._poster.post(content))
        except httpx.TransportError as error:
            raise self._unavailable(error) from error

    async def _check(self, response: httpx.Response, patience: AnswerPatience) -> None:
        try:
            check_plain(response)
            if response.status_code == httpx.codes.OK:
                return
            refusal = await patience.wait(body(response, _LARGEST_REFUSAL))
        except AnswerError as error:
            if error.status == httpx.codes.OK:
                raise AnswererError(
                    f"{self._who} sent an answer that cannot be used: {error}.", reason="malformed", retryable=False
                ) from None
            refusal = b""
        except httpx.TransportError:
            refusal = b""  # the status says enough
        raise refusals.refused(self._who, response.status_code, refusal)

    async def _next(self, pieces: AsyncIterator[bytes], patience: AnswerPatience, stream: ChatStream) -> bytes | None:
        """Return the next bytes of the body, after a while if its beginning is there; None at its end."""
        if stream.characters > _EARLY_CHARACTERS and self._hold_s and not stream.finish_reason:
            await asyncio.sleep(self._hold_s)
        try:
            return await patience.wait(anext(pieces, None))
        except httpx.TransportError as error:
            raise AnswererError(
                f"{self._who} broke off its answer ({type(error).__name__}). The server or the network failed.",
                reason="cut_off",
                retryable=True,
            ) from error

    async def _warm_one(self) -> None:
        url = str(self._at("/models"))
        try:
            answer = await exchange(self._client, "GET", url, within_s=self._limits.first_s, largest=_LARGEST_LIST)
        except AnswerError:
            return  # it speaks HTTP; what it lists is not needed
        except (httpx.TransportError, TimeoutError) as error:
            raise self._unavailable(error) from error
        if answer.status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise refusals.refused(self._who, answer.status, answer.body)

    def _unavailable(self, error: Exception) -> AnswererError:
        if isinstance(error, httpx.PoolTimeout):
            return AnswererError(
                f"{self._who} has all its connections in use. Raise their number, or spread the calls over more pods.",
                reason="busy",
                retryable=True,
            )
        return AnswererError(
            f"{self._who} cannot be reached ({type(error).__name__}). Check its URL, and whether the server runs.",
            reason="unavailable",
            retryable=True,
        )


async def _read_to_end(pieces: AsyncIterator[bytes]) -> None:
    """Read what ends a body, so that its connection can be used again; if that takes time, the connection is closed."""
    try:
        async with asyncio.timeout(_LAST_S):
            for _ in range(_LAST_READS):
                if await anext(pieces, None) is None:
                    return
    except (TimeoutError, httpx.TransportError):
        pass  # the answer is whole, and the connection is closed
