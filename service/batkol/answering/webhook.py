"""Answers by a bot of the user's own: each question is an HTTP POST, signed as Standard Webhooks has it (ADR 0029)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Final

import httpx

from batkol.answering.answerer import AnswererError, AnswerPart, Question
from batkol.answering.patience import AnswerPatience, Limits
from batkol.answering.server import EARLY_CHARACTERS, HOLD_S, SLICE, AnswererServer
from batkol.answering.webhook_refusals import refused
from batkol.answering.webhook_wire import AnswerReader, reader, request_body
from batkol.errors import OnOutcome, unwatched
from batkol.http_client.ending import read_to_end
from batkol.http_client.signature import WebhookSigner
from batkol.urls import masked

_LIMITS: Final = Limits()


class WebhookAnswerer:
    """`url` is where questions are posted, as it stands; `secret` begins with `whsec_`, and signs them if it is given.

    A question that is sent again on a new connection keeps its `webhook-id`. Raises `ValueError` for a secret that is
    none. The rest is as `AnswererServer` has it.
    """

    def __init__(
        self,
        *,
        url: str,
        secret: str = "",
        limits: Limits = _LIMITS,
        hold_s: float = HOLD_S,
        connections: int = 200,
        on_outcome: OnOutcome = unwatched,
    ) -> None:
        self._limits = limits
        self._on_outcome = on_outcome
        self._who = f"The answerer {self.name} ({masked(url)})"
        self._signer = WebhookSigner(secret)
        self._server = AnswererServer(self._who, url, limits=limits, connections=connections, refused=refused)
        self._hold_s = 0.0 if self._server.proxied else hold_s

    @property
    def name(self) -> str:
        """See `Answerer.name`."""
        return "webhook"

    async def answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        """See `Answerer.answer`. Closing it, or cancelling the wait for a part, closes the connection at once."""
        try:
            async with aclosing(self._answer(question)) as parts:
                async for part in parts:
                    self._on_outcome(None)
                    yield part
        except AnswererError as error:
            self._on_outcome(error)
            raise

    async def _answer(self, question: Question) -> AsyncGenerator[AnswerPart, None]:
        patience = AnswerPatience(self._limits, self._who)
        content = request_body(question)
        response = await self._server.ask(content, patience, self._signer.headers(content))
        try:
            if response.status_code == httpx.codes.NO_CONTENT:
                self._on_outcome(None)
                return  # an empty answer
            await self._server.check(response, patience)
            answer = reader(self._who, response.headers.get("Content-Type", ""))
            async with (
                aclosing(response.aiter_raw()) as pieces,  # type: ignore[type-var]  # a generator, in truth
                aclosing(self._parts(pieces, answer, patience)) as parts,
            ):
                async for part in parts:
                    yield part
                    patience.progressed()
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """See `Answerer.aclose`; answers under way end in an `AnswererError`."""
        await self._server.aclose()

    async def _parts(
        self, pieces: AsyncIterator[bytes], answer: AnswerReader, patience: AnswerPatience
    ) -> AsyncGenerator[AnswerPart, None]:
        while not answer.done:
            if answer.characters > EARLY_CHARACTERS and self._hold_s:
                await patience.wait(asyncio.sleep(self._hold_s))
            piece = await self._server.next(pieces, patience)
            if piece is None:
                for part in answer.end():
                    yield part
                return
            for start in range(0, len(piece), SLICE):
                for part in answer.feed(piece[start : start + SLICE]):
                    yield part
                if start + SLICE < len(piece):
                    await asyncio.sleep(0)
        await read_to_end(pieces)
