"""What the pages tell one to do by kubectl, and addresses that cannot work, on a real API server."""

from __future__ import annotations

import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kube.control_plane import ControlPlane
from support.operators.addresses import ADDRESSES
from support.operators.installation import Installation, agent, children_of, installed
from support.time.waiting import eventually

DOCS = Path(__file__).parents[3] / "docs"
SONIOX, GOOGLE = "soniox/stt-rt-v5", "google-v1/default"


@pytest.fixture
async def installation(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[Installation]:
    async with installed(control_plane, namespace, tmp_path) as made:
        yield made


def commands(page: str, section: str) -> list[list[str]]:
    """The commands of kubectl in a section, without the namespace."""
    text = (DOCS / page).read_text("utf-8").partition(f"# {section}\n")[2].partition("\n#")[0]
    lines = re.findall(r"^kubectl -n \S+ (.*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


async def _tuned(installation: Installation, *order: str) -> bool:
    recognition = (await installation.live("reception"))["tuning.json"]["recognition"]
    return tuple(recognition.get("order", ())) == order and ("recognizer" in recognition) is bool(order)


async def test_the_way_back_from_soniox_is_live_first_and_then_a_rollout(installation: Installation) -> None:
    """As docs/soniox.md has it; the wait between the two is for pods, which are not here."""
    await installation.operate()
    flag = {"state": "ENABLED", "variants": {"a": SONIOX, "b": GOOGLE}, "defaultVariant": "a"}
    account = {"apiKeySecretRef": {"name": "soniox", "key": "api-key"}}
    wanted = {"recognizer": SONIOX, "order": [SONIOX, GOOGLE], "soniox": account}
    await installation.create("reception", recognition=wanted, flags={"recognizer": flag})
    await children_of(installation, "reception")
    template = await installation.template("reception")
    names_away, waits, account_away = commands("soniox.md", "Back to Google")

    with pytest.raises(RuntimeError, match="must have the account when"):
        await installation.kubectl(*account_away)
    assert await _tuned(installation, SONIOX, GOOGLE)

    await installation.kubectl(*names_away)
    await eventually(lambda: _tuned(installation))
    assert (await installation.live("reception"))["flags.json"]["flags"].keys() <= {"streaming-stt"}
    assert await installation.template("reception") == template, "the pods keep the account, and their calls"

    assert waits[:2] == ["wait", "vagent/reception"]
    await installation.kubectl(*account_away)
    await eventually(lambda: _rolled(installation, template))
    assert "SONIOX" not in str(await installation.get("deployment", "reception"))


async def _rolled(installation: Installation, template: str) -> bool:
    return await installation.template("reception") != template


SENTENCE = r": must (have a host after `://`, and no|be host:port, with a|be nats://host|be https://host)"
PORTS = ("host:0", "host:65536", "host:99999", "host:abc", ":443")


async def test_an_address_that_cannot_work_is_refused_when_it_is_applied_with_a_sentence(
    installation: Installation,
) -> None:
    wrong = {
        f"wrong-{number}-{port}": (place.strip(), agent(f"wrong-{number}-{port}", **with_address(address)))
        for number, (place, with_address) in enumerate(ADDRESSES.items())
        for port, address in enumerate(PORTS)
    }
    right = [agent(f"right-{number}", **make("host:65535")) for number, make in enumerate(ADDRESSES.values())]

    with pytest.raises(RuntimeError) as refused:
        await installation.kubectl.apply(*(body for _, body in wrong.values()))
    said = dict(re.findall(r'"(wrong-\S+)" is invalid: ([^\n]*)', str(refused.value)))

    assert [name for name, (place, _) in wrong.items() if f"spec.{place}: " not in said.get(name, "")] == []
    assert [sentence for sentence in said.values() if not re.search(SENTENCE, sentence)] == []
    assert (await installation.kubectl.json("get", "vagent"))["items"] == []
    assert (await installation.kubectl.apply(*right)).count("serverside-applied") == len(right)
