"""The whole service with a double of Twilio's REST API that ends and moves the simulated callers' calls."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from batkol.app.patience import PRODUCTION, Patience
from batkol.conversation.actions import StockPhrase
from batkol.events.events import CallEnded
from batkol.simulators.twilio.caller import Caller, CallReport, Script
from batkol.simulators.twilio_rest.calls import RestCall
from batkol.simulators.twilio_rest.records import RestRecord
from batkol.simulators.twilio_rest.server import TwilioDouble
from batkol.simulators.twilio_rest.settings import TwilioDoubleSettings
from support.service.stack import TOKEN, Stack, stack
from support.time.waiting import until

ACCOUNT: Final = "AC" + "0" * 32
API: Final = "a-made-up-token-of-the-line"


@dataclass
class EndedCalls:
    """The service and Twilio's REST API, which know the same calls."""

    up: Stack
    rest: TwilioDouble
    callers: dict[str, Caller] = field(default_factory=dict)

    def obey(self, call: RestCall, update: dict[str, str]) -> None:
        """Have the caller follow an update of its call."""
        self.callers[call.sid].updated(update)

    async def call(self, script: Script, **fields: Any) -> CallReport:
        """Place a call that waits for the service to end it. Twilio knows of it, and obeys updates of it."""
        plan = self.up.plan(**fields)
        self.callers[plan.call_sid] = caller = Caller(plan, script)
        self.rest.put(RestCall(sid=plan.call_sid, account_sid=plan.account_sid))
        try:
            report = await caller.run()
        finally:
            self.rest.put(RestCall(sid=plan.call_sid, account_sid=plan.account_sid, status="completed"))
        await self.up.heard.until(lambda: self.up.heard.of(report.call_sid, CallEnded))
        return report

    def updates(self, call_sid: str) -> list[RestRecord]:
        """Return the requests that the service has sent for a call."""
        return [record for record in self.rest.records if call_sid in record.path]

    async def post(self, call_sid: str, action: str, status: int, **asked: Any) -> dict[str, Any]:
        """Ask the line for something, and hold the answer to the status."""
        async with httpx.AsyncClient(
            base_url=self.up.internal, headers={"Authorization": f"Bearer {API}"}, trust_env=False
        ) as http:
            answer = await http.post(f"/v1/calls/{call_sid}/{action}", **asked)
        assert answer.status_code == status, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def actions(self) -> dict[tuple[str, str], float]:
        """Return the counted actions and their outcomes, those that happened."""
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {API}"}) as http:
            text = (await http.get(f"{self.up.internal}/metrics")).text
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
        return {
            (each.labels["action"], each.labels["outcome"]): each.value
            for each in samples
            if each.name == "batkol_line_actions_total" and each.value
        }


@asynccontextmanager
async def ended_calls(
    live: Path, *, rest: bool = True, patience: Patience = PRODUCTION, **overrides: Any
) -> AsyncIterator[EndedCalls]:
    """Bring both up. Without `rest` the service has no credentials for it."""
    async with TwilioDouble(TwilioDoubleSettings(auth_token=TOKEN)) as double:
        account = {"twilio_account_sid": ACCOUNT, "twilio_api_url": await double.start()} if rest else {}
        agent = {"api_token": API, "agent_replies": True, "answerer": "echo", "voice": "builtin"}
        async with stack(live, patience=patience, **{**account, **agent, **overrides}) as up:
            if rest:
                await until(lambda: up.service.tasks.status()["twilio.control"].state == "idle")
            await until(lambda: _spoken(up, overrides.get("agent_phrases", {})))
            double.reset()
            line = EndedCalls(up, double)
            double.on_update = line.obey
            yield line


def _spoken(up: Stack, phrases: Mapping[str, str]) -> bool:
    """Whether the voice has spoken these phrases; until then the stored ones are said. An empty one is not said."""
    agent = up.service.agent
    assert agent is not None
    sounds = {name: agent.phrase(StockPhrase(name)) for name, text in phrases.items() if text}
    return all(sound is not None and sound.text == phrases[name] for name, sound in sounds.items())
