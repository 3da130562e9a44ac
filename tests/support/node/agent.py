"""An agent on the node, callers of its Service, and what is kept of their calls."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx

from batkol.simulators.twilio.caller import Caller, CallOutcome, CallPlan, CallReport, Script
from batkol.voices.marked.voice import SpokenAudio, script
from support.node.images import SERVICE, TAG
from support.node.postgres import Postgres
from support.node.shell import SYSTEM, apply, get, kubectl
from support.postgres.sql import sql
from support.service.stack import plain, words_of
from support.time.waiting import eventually

NAMESPACE: Final = "voice"
NAME: Final = "reception"
TOKEN: Final = "a-made-up-auth-token"
PUBLIC: Final = "https://voice.example.test"
GREETING: Final = "בוקר"
"""A word that no caller of these tests says, and so no echo."""
TALK: Final = script(
    [["שלום", "אני", "רוצה"], ["כן", "מספר", "טלפון"], ["תודה", "אני", "רוצה"], ["כן", "תודה"], ["מספר", "טלפון"]],
    lead_ms=4000,
    gap_ms=4000,
    tail_ms=2500,
)
"""Half a minute, with pauses in which the agent answers."""

HELLO: Final = script([["שלום"]], lead_ms=500, tail_ms=2000)


def manifest(name: str = NAME, **spec: Any) -> Any:
    """An agent that hears by the double of Google, repeats what it hears, and keeps it; and `spec` on top."""
    whole = {
        "image": {"repository": SERVICE, "tag": TAG, "pullPolicy": "Never"},
        "twilio": {"publicBaseUrl": PUBLIC, "authTokenSecretRef": {"name": "twilio", "key": "token"}},
        "recognition": {"endpoint": f"speech-double.{SYSTEM}:8090", "insecure": True},
        "streaming": {"mode": "Enabled"},
        "reply": {"answerer": {"kind": "Echo"}, "voice": {"kind": "Builtin"}, "greeting": GREETING},
        "database": {"urlSecretRef": {"name": "postgres", "key": "url"}},
        "scaling": {"replicas": 2},
        "calls": {"maxPerPod": 20, "drainTimeoutSeconds": 120},
        "pod": {"resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}},
    }
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "batkol.dev/v1alpha1", "kind": "VoiceAgent", "metadata": metadata, "spec": {**whole, **spec}}


def secret(name: str, **values: str) -> Any:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": values,
    }


class Way(NamedTuple):
    """How callers reach an agent: by its public URL, with a client that trusts it; or without, by its Service."""

    url: str
    http: httpx.AsyncClient | None = None


@dataclass
class Calls:
    """Calls in progress, and what came of those that are over."""

    agent: Agent
    callers: list[Caller]
    tasks: list[asyncio.Task[CallReport]]
    reports: list[CallReport] = field(default_factory=list)

    async def begun(self) -> None:
        """Wait until each has its stream."""
        async with asyncio.timeout(60):
            await asyncio.gather(*(caller.started.wait() for caller in self.callers))

    async def spoken(self, seconds: float) -> None:
        """Wait until each caller is so many seconds into the call."""
        async with asyncio.timeout(seconds + 60):
            while any(caller.report.frames_sent * caller.plan.frame_s < seconds for caller in self.callers):
                await asyncio.sleep(0.1)

    async def over(self) -> list[CallReport]:
        """Wait until all have ended."""
        self.reports = list(await asyncio.gather(*self.tasks))
        return self.reports

    def cut(self) -> list[str]:
        """Name what Twilio would have complained of, and calls that the caller did not end himself."""
        wrong = [f"{report.call_sid}: {violation}" for report in self.reports for violation in report.violations]
        ended = [(report.outcome, report.closed_by, report.close_code) for report in self.reports]
        return wrong + [str(end) for end in ended if end != (CallOutcome.COMPLETED, "caller", 1000)]

    def greetings(self) -> list[int]:
        """Count how often each caller was greeted."""
        return [report.ear.texts().count(GREETING) for report in self.reports]

    async def kept(self, spoken: SpokenAudio = TALK, times: int = 1) -> list[list[str]]:
        """Wait until the database has the end of each call and as many texts as were said; return the texts."""
        wanted = len(words_of(spoken)) * times

        async def there() -> bool:
            sids = [report.call_sid for report in self.reports]
            ended = await self.agent.rows(
                "SELECT call_sid FROM calls WHERE ended_at IS NOT NULL AND call_sid = ANY($1)", sids
            )
            return len(ended) == len(sids) and all([len(await self.agent.texts(sid)) >= wanted for sid in sids])

        with suppress(TimeoutError):  # what is there by then is returned, and compared
            await eventually(there, 60)
        return [await self.agent.texts(report.call_sid) for report in self.reports]


@dataclass
class Agent:
    """One agent, with its database."""

    database: Postgres
    name: str = NAME

    async def create(self, **spec: Any) -> None:
        """Make it with its Secrets, and wait until it is ready. Of one that is there nothing stays that a test set."""
        await apply(secret("twilio", token=TOKEN), secret("postgres", url=self.database.url))
        made = manifest(self.name, **spec)
        if await self.get("vagent", self.name):
            whole = json.dumps([{"op": "replace", "path": "/spec", "value": made["spec"]}])
            await self.kubectl("patch", "vagent", self.name, "--type=json", f"--patch={whole}")
        else:
            await apply(made)
        await self.until("Ready")

    async def until(self, condition: str, status: str = "True", seconds: int = 180) -> None:
        """Wait for a condition with `kubectl wait`, which looks at the generation too."""
        await self.kubectl(
            "wait", f"vagent/{self.name}", f"--for=condition={condition}={status}", f"--timeout={seconds}s"
        )

    async def kubectl(self, *arguments: str, check: bool = True) -> str:
        return (await kubectl(f"--namespace={NAMESPACE}", *arguments, check=check)).out

    async def patch(self, **spec: Any) -> None:
        await self.kubectl("patch", "vagent", self.name, "--type=merge", f"--patch={json.dumps({'spec': spec})}")

    async def get(self, *what: str) -> Any:
        return await get(f"--namespace={NAMESPACE}", *what)

    async def condition(self, kind: str) -> Any:
        """A condition of the agent, or an empty one."""
        status = (await self.get("vagent", self.name)).get("status", {})
        return next((each for each in status.get("conditions", []) if each["type"] == kind), {})

    async def address(self) -> str:
        """The address of its Service."""
        return str((await self.get("service", self.name))["spec"]["clusterIP"])

    async def pods(self) -> list[Any]:
        """Its pods, those that end too."""
        found = await self.get("pods", f"--selector=batkol.dev/agent={self.name}")
        return list(found["items"]) if found else []

    async def settled(self) -> None:
        """Wait until nothing moves any more: all pods wanted are ready, and none ends."""

        async def quiet() -> bool:
            pods = await self.pods()
            wanted = (await self.get("deployment", self.name))["spec"]["replicas"]
            return len(pods) == wanted and all(is_ready(pod) for pod in pods)

        await eventually(quiet, 240)
        await self.until("Ready")

    async def call(
        self, count: int = 3, spoken: SpokenAudio = TALK, way: Way | None = None, script: Script | None = None
    ) -> Calls:
        """Have callers call, the Service unless told otherwise; returns once all have their streams.

        With a script they say what it says, in the place of `spoken`.
        """
        way = way or Way(f"http://{await self.address()}:8080")
        audio = b"" if script else spoken.mulaw
        plans = [
            CallPlan(
                base_url=way.url,
                public_url=None if way.http else PUBLIC,
                auth_token=TOKEN,
                audio=audio,
                caller=f"+97250000010{number}",
            )
            for number in range(count)
        ]
        callers = [Caller(plan, script, way.http) for plan in plans]
        calls = Calls(self, callers, [asyncio.create_task(caller.run()) for caller in callers])
        await calls.begun()
        return calls

    async def rows(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        return await sql(self.database.where, statement, *values)

    async def texts(self, call_sid: str) -> list[str]:
        """The record of a call: its finals as revised, without punctuation, empty ones left out."""
        rows = await self.rows(
            "SELECT coalesce(u.revised_text, u.text) AS text FROM utterances u JOIN calls c USING (call_sid) "
            "WHERE call_sid = $1 ORDER BY array_position(c.stream_sids, u.stream_sid), u.index",
            call_sid,
        )
        return [plain(row["text"]) for row in rows if row["text"]]


def is_ready(pod: Any) -> bool:
    """Whether a pod is ready, and is to stay."""
    conditions = pod.get("status", {}).get("conditions", [])
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def restarts(pod: Any) -> int:
    return sum(each["restartCount"] for each in pod["status"].get("containerStatuses", []))


def process_of(pod: Any) -> int:
    """The process id of the program in a pod, as the node counts. Raises `LookupError`."""
    (container,) = pod["status"]["containerStatuses"]
    wanted = container["containerID"].removeprefix("containerd://")
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            group, words = (folder / "cgroup").read_text(), (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        if wanted in group and b"batkol" in words:
            return int(folder.name)
    raise LookupError(f"no process of the pod {pod['metadata']['name']} runs")


def kill(pod: Any) -> None:
    """`kill -9` the program in a pod."""
    os.kill(process_of(pod), signal.SIGKILL)
