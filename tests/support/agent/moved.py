"""Two pods of one agent that answers, behind a balancer, and a caller whose call moves from one to the other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from batkol.app.patience import Patience
from batkol.events.events import ReplyEnded
from batkol.fleet.feed import FleetTimings
from batkol.simulators.llm.answers import Rule
from batkol.simulators.llm.server import LLMDouble
from batkol.simulators.llm.settings import LLMSettings
from batkol.simulators.twilio.caller import CallPlan
from batkol.voices.marked.voice import say
from support.network.balancer import Balancer, balancing
from support.network.ports import free_ports
from support.service.stack import PUBLIC, TOKEN, Stack, stack

GREETING: Final = "שלום"
FIRST: Final = ("אני", "רוצה", "פגישה")
SECOND: Final = ("כמה", "כתובת", "רופא")
PATIENT: Final = Patience(conversations=20.0, ends=20.0, fleet=FleetTimings(answer_s=20.0, hung_up_s=20.0))
"""Both pods are in this process, and 0.3 s pass on a busy machine before one of them has read a question."""
RULES: Final = (Rule("פגישה", "מחר בוקר"), Rule("רופא", "טלפון חשבון"))


def spoken(words: tuple[str, ...]) -> bytes:
    return say(list(words)).mulaw


@dataclass
class Pods:
    """The pods, the double that they ask, and the way to them."""

    old: Stack
    new: Stack
    llm: LLMDouble
    balancer: Balancer

    def plan(self, **fields: Any) -> CallPlan:
        return CallPlan(base_url=self.balancer.url, public_url=PUBLIC, auth_token=TOKEN, **fields)

    async def drain(self) -> None:
        """Drain the old pod at once; what comes from now on goes to the new one."""
        self.balancer.pod = self.new.service.port
        await self.old.service.drain_calls()

    async def heard(self, at: Stack, sid: str, replies: int) -> None:
        """Wait until so many replies are over at a pod."""
        await at.heard.until(lambda: len(at.heard.of(sid, ReplyEnded)) >= replies)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The messages of the newest request: role and text."""
        return [(message.role, message.content) for message in self.llm.records[-1].messages]


@asynccontextmanager
async def two_pods(
    folder: Path, *, peers: bool = True, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None
) -> AsyncIterator[Pods]:
    """Run both, with `peers` or as strangers to each other; `old` and `new` are settings of one of them."""
    ports = free_ports(2)
    async with AsyncExitStack() as exits:
        llm = await exits.enter_async_context(LLMDouble(LLMSettings(profile="fixed:50", tokens_per_s=0)))
        shared: dict[str, Any] = {
            "agent_replies": True,
            "answerer": "openai",
            "answerer_url": await llm.start(),
            "answerer_model": "double",
            "greeting": GREETING,
            "voice": "builtin",
            "fleet_peers": tuple(f"127.0.0.1:{port}" for port in ports) if peers else (),
            "drain_timeout_s": 0,
        }
        llm.script(*RULES)
        pods = [
            await exits.enter_async_context(
                stack(
                    folder / name,
                    patience=PATIENT,
                    **{**shared, "pod_name": name, "internal_port": port, **(own or {})},
                )
            )
            for name, port, own in (("old", ports[0], old), ("new", ports[1], new))
        ]
        balancer = await exits.enter_async_context(balancing(pods[0].service.port))
        yield Pods(pods[0], pods[1], llm, balancer)
