"""Any order of changes, faults, broken watches and late timers: in the end the agents are what their specs say.

Timers come late and in random order; so does every answer and every event of a watch.
"""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from batkol_operator.pods.poll_schedule import SLOW_INTERVAL_S
from batkol_operator.reconcile.backoff import LONGEST_S
from support.kube.store import Key, RefusalError, merge
from support.operators.world import World, world
from support.time.virtual import in_virtual_time

LATE_S = 0.05
BUSY_S = 15.0
SETTLED_S = 2 * LONGEST_S
QUIET_S = 200.0
PROMPT_S = 4.0
"""Seconds from a change to all that comes of it. No poll is due so soon."""
RESYNC_S = 60.0
NAMES = ("clinic", "night")


@dataclass
class History:
    """What the owners of the agents and the cluster do for a while, by the dice of one seed."""

    around: World
    dice: random.Random
    wanted: dict[str, int] = field(default_factory=dict)  # batchMilliseconds
    prompts: dict[str, str] = field(default_factory=dict)

    async def run(self) -> None:
        """Change something twice a second or so."""
        steps = (
            self._edit,
            self._edit,
            self._edit,
            self._edit_prompt,
            self._edit_prompt,
            self._edit_wrongly,
            self._by_hand,
            self._delete,
            self._fail,
            self._clash,
        )
        ends = asyncio.get_running_loop().time() + BUSY_S
        for name in NAMES:
            self._edit(name)
        while asyncio.get_running_loop().time() < ends:
            await asyncio.sleep(self.dice.expovariate(2.0))
            step = self.dice.choice(steps)
            step(self.dice.choice(NAMES))
        for fault in self.around.front.faults:
            fault.times = 0

    def _edit(self, name: str) -> None:
        batch = self.dice.randrange(20, 1000, 20)
        key = Key("batkol.dev", "voiceagents", "voices", name)
        if name not in self.wanted:
            self.prompts[name] = "the first prompt"
            reply = {"answerer": {"kind": "Echo"}, "prompt": self.prompts[name]}
            self.around.create(name, recognition={"batchMilliseconds": batch}, reply=reply)
        else:
            self.around.edit(key, spec={"recognition": {"batchMilliseconds": batch}})
        self.wanted[name] = batch

    def _edit_prompt(self, name: str) -> None:
        self.prompts[name] = f"prompt {self.dice.random()}"
        key = Key("batkol.dev", "voiceagents", "voices", name)
        self.around.edit(key, spec={"reply": {"prompt": self.prompts[name]}})

    def edit_all(self) -> None:
        """Change every agent, twice: the second change comes during the pass over the first."""
        loop = asyncio.get_running_loop()
        for name in NAMES:
            self._edit_prompt(name)
            self._edit(name)
            again = self.dice.choice((self._edit, self._edit_prompt))
            loop.call_later(self.dice.uniform(0.0, 2 * LATE_S), again, name)

    def _edit_wrongly(self, name: str) -> None:
        with pytest.raises(RefusalError, match="batchMilliseconds"):
            self.around.edit(
                Key("batkol.dev", "voiceagents", "voices", name), spec={"recognition": {"batchMilliseconds": 3}}
            )

    def _by_hand(self, name: str) -> None:
        store, live = self.around.front.store, self.around.live(name)
        if live in store.objects:
            store.change(live, "", lambda old: merge(old, {"data": {"tuning.json": "{}"}}))

    def _clash(self, name: str) -> None:
        """The event of the edit by hand may come after the answer to what the operator writes over it."""
        self._by_hand(name)
        self._edit(name)

    def _delete(self, name: str) -> None:
        store, deployment = self.around.front.store, self.around.deployment(name)
        if deployment in store.objects and self.dice.random() < 0.3:
            store.delete(deployment)

    def _fail(self, name: str) -> None:
        what = self.dice.choice(("configmaps", "deployments", "voiceagents", "secrets", "services"))
        self.around.front.fail(what, code=self.dice.choice((409, 429, 500, 503)), times=self.dice.randint(1, 3))


def prompt(around: World, name: str) -> str:
    written = json.loads(around.front.store.get(around.live(name))["data"]["reply.json"])
    return str(written["prompt"])


def tuning(around: World, name: str) -> int:
    written = json.loads(around.front.store.get(around.live(name))["data"]["tuning.json"])
    batch: int = written["recognition"]["batchMilliseconds"]
    return batch


async def steady_operator(dice: random.Random) -> int:
    """One operator whose watches hold: nothing that stands is applied again, and every pod is polled in time.

    Returns how many agents there were at the end.
    """
    async with world(lambda: dice.uniform(0.0, LATE_S)) as (around, stack):
        await around.operate(stack, resync_s=RESYNC_S)
        history = History(around, dice)
        await history.run()
        await asyncio.sleep(SETTLED_S)
        check_all(around, history)
        assert around.front.idle == [], "it was applied again, and nothing had changed"

        now = asyncio.get_running_loop().time()
        around.front.seen.clear()
        await asyncio.sleep(QUIET_S)
        check_quiet(around, now)

        deployments = {name: around.front.store.get(around.deployment(name))["spec"] for name in NAMES}
        history.edit_all()
        await asyncio.sleep(PROMPT_S)
        check_all(around, history)
        after = {name: around.front.store.get(around.deployment(name))["spec"] for name in NAMES}
        assert after == deployments, "a prompt rolled the pods"
        assert around.front.idle == []
        return len(history.wanted)


async def shaken_operator(dice: random.Random) -> int:
    """Operators that take over from each other, loops that die, watches that break: the last spec wins all the same.

    Returns how many agents there were at the end.
    """
    async with world(lambda: dice.uniform(0.0, LATE_S)) as (around, stack):
        one = await around.operate(stack, resync_s=RESYNC_S)
        two = await around.operate(stack, leads=False, resync_s=RESYNC_S)
        history = History(around, dice)
        changing = asyncio.create_task(history.run())
        while not changing.done():
            await asyncio.sleep(dice.uniform(0.5, 4.0))
            what = dice.choice(("lead", "watch", "forget", "kill"))
            if what == "lead":
                one.follow()
                two.lead()
                one, two = two, one
            elif what == "kill":
                for task in [task for task in asyncio.all_tasks() if task.get_name() == "agent"]:
                    task.cancel()
            else:
                around.front.end_watches()
                if what == "forget":
                    await asyncio.sleep(LATE_S)
                    around.front.forget_log()
        await changing
        await asyncio.sleep(SETTLED_S + 11 * RESYNC_S)  # a listing finds what broken watches have missed
        check_all(around, history)
        now = asyncio.get_running_loop().time()
        assert one.watchdog.why_stuck(now) is None
        assert two.watchdog._loops == {}
        return len(history.wanted)


def check_all(around: World, history: History) -> None:
    store = around.front.store
    for name, batch in history.wanted.items():
        key = Key("batkol.dev", "voiceagents", "voices", name)
        assert tuning(around, name) == batch
        assert around.deployment(name) in store.objects
        assert around.status(key)["observedGeneration"] == store.get(key)["metadata"]["generation"]
        assert around.condition(key, "TuningApplied")["status"] == "True"
        assert prompt(around, name) == history.prompts[name]
        assert around.condition(key, "ReplyApplied")["status"] == "True"
        assert around.pods.pods[around.started[name]].reply == around.status(key)["replyRevision"]


def check_quiet(around: World, since: float) -> None:
    """Nothing is asked of the API server but a Secret a resync; every pod is polled within its interval."""
    for name in NAMES:
        lines = [line for line in around.front.seen if name in line.split("/")[-1]]
        assert set(lines) <= {f"PUT /secrets {name}-api"}, lines
        assert QUIET_S // RESYNC_S - 1 <= len(lines) <= QUIET_S // RESYNC_S + 1
    until = since + QUIET_S
    for name in NAMES:
        polls = [since, *(at for at in around.pods.asked_at[around.started[name]] if at > since), until]
        slack = 20 * LATE_S  # of the loop's own timer, and of the requests that a pass makes before it polls
        assert max(after - before for before, after in pairwise(polls)) <= SLOW_INTERVAL_S + slack


SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.nightly) for seed in range(2, 100))]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_spec_wins_nothing_is_applied_twice_and_every_pod_is_polled_in_time(seed: int) -> None:
    dice = random.Random(seed)
    assert in_virtual_time(steady_operator(dice), disorder=random.Random(seed + 1), late_s=LATE_S) > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_last_spec_wins_whatever_befalls_operators_and_watches(seed: int) -> None:
    dice = random.Random(seed)
    assert in_virtual_time(shaken_operator(dice), disorder=random.Random(seed + 1), late_s=LATE_S) > 0
