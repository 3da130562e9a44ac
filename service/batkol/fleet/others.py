"""One question to all other pods of the agent at once, within a time for all of them together.

Pods prove themselves by the auth token, which all have: what is asked, and what an answer has to prove, is up to the
question (`batkol.fleet.conversations`, `batkol.fleet.ends`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from batkol.answers import Answer
from batkol.fleet.addresses import Addresses
from batkol.fleet.endpoint import Endpoint
from batkol.fleet.peers import FleetRequest, HttpPods, PodRequestError

WITHIN_S: Final = 0.3
"""Seconds for all pods together, the look-up of their addresses included: the caller hears nothing so long."""


class PodQuestion(NamedTuple):
    """A request that every pod gets."""

    method: str
    path: str
    headers: Mapping[str, str]


class PodAnswers(NamedTuple):
    """The result of a question."""

    answers: list[tuple[Endpoint, Answer]]
    """As they came; of any status."""
    failed: int
    """Pods that could not be asked."""
    timed_out: bool
    """Whether a pod, or the look-up of their addresses, was waited for in vain."""

    @property
    def are_all(self) -> bool:
        """Whether every other pod answered."""
        return not (self.failed or self.timed_out)


class OtherPods:
    """The other pods. Safe for several questions at once."""

    def __init__(
        self, pods: HttpPods, addresses: Addresses, own: Callable[[], Endpoint], within_s: float = WITHIN_S
    ) -> None:
        self._pods = pods
        self._addresses = addresses
        self._own = own
        self._within_s = within_s

    async def ask(
        self, question: PodQuestion, enough: Callable[[Endpoint, Answer], bool] = lambda _, __: False
    ) -> PodAnswers:
        """Ask all, until one answer is `enough`; those that have not answered by then are not waited for.

        Raises nothing. Cancelling it closes the connections.
        """
        answers = list[tuple[Endpoint, Answer]]()
        failed, timed_out = 0, False
        tasks: list[asyncio.Task[tuple[Endpoint, Answer | None]]] = []
        try:
            async with asyncio.timeout(self._within_s):
                others = [at for at in (await self._addresses.current()).addresses if at != self._own()]
                tasks = [asyncio.create_task(self._ask(at, question), name="fleet.ask") for at in others]
                for each in asyncio.as_completed(tasks):
                    at, answer = await each
                    if answer is None:
                        failed += 1
                        continue
                    answers.append((at, answer))
                    if enough(at, answer):
                        break
        except TimeoutError:
            timed_out = True
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return PodAnswers(answers, failed, timed_out)

    async def _ask(self, at: Endpoint, question: PodQuestion) -> tuple[Endpoint, Answer | None]:
        try:
            return at, await self._pods.ask(
                at,
                FleetRequest(""),
                question.method,
                question.path,
                headers=dict(question.headers),
                within_s=self._within_s,
            )
        except PodRequestError:
            return at, None
