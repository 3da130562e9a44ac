"""Questions to all pods: each pod is asked once, by whichever address it has at the moment."""

from __future__ import annotations

import asyncio

from batkol.fleet.addresses import Addresses, Resolved
from batkol.fleet.endpoint import Endpoint, endpoint
from batkol.fleet.peers import FleetRequest, HttpPods, OwnPod
from batkol.fleet.questions import Questions
from support.http.one_answer import answering, http

BOOT = "a" * 16
OTHER = "b" * 16


class Known(Addresses):
    """Addresses as a test has DNS know them."""

    def __init__(self) -> None:
        super().__init__(())
        self.now: tuple[Endpoint, ...] = ()

    async def current(self) -> Resolved:
        return Resolved(self.now, ())


class Pod:
    """A pod's answers, with the boot that it has at the moment."""

    def __init__(self, boot: str) -> None:
        self.boot = boot

    async def __call__(self, writer: asyncio.StreamWriter) -> None:
        said = f'{{"protocol":1,"pod":"{self.boot[0]}","version":"1","boot":"{self.boot}","cursor":"{self.boot}-1"}}'
        await http("200 OK", said.encode(), "Content-Type: application/json")(writer)


async def test_an_address_that_was_this_pods_is_asked_again_when_another_pod_has_it() -> None:
    known, pods, second = Known(), HttpPods(answer_s=5.0), Pod(BOOT)
    async with answering(Pod(BOOT)) as (own_url, _), answering(second) as (second_url, _):
        own, further = (endpoint(url.removeprefix("http://")) for url in (own_url, second_url))
        questions = Questions(pods, known, lambda: OwnPod(own, BOOT))

        async def names() -> list[str]:
            return [each.pod for each in await questions.statuses(FleetRequest(""))]

        known.now = (own, further)
        assert await names() == ["a"], "one pod with two addresses"
        known.now = (own,)
        assert await names() == ["a"]
        known.now, second.boot = (own, further), OTHER
        assert await names() == ["a", "b"]
    await pods.aclose()
