"""What SECURITY.md says of who writes VoiceAgents, on a real API server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # has no types

from support.kube.control_plane import ControlPlane
from support.operators.installation import Installation, agent, installed
from support.time.waiting import eventually

PAGE = Path(__file__).parents[3] / "SECURITY.md"
FORBIDDEN = "is forbidden"


def roles(namespace: str) -> list[dict[str, Any]]:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    found = [role for block in blocks for role in yaml.safe_load_all(block)]
    return [{**role, "metadata": {**role["metadata"], "namespace": namespace}} for role in found]


async def bind(here: Installation) -> None:
    """Make the page's roles, and an account of the same name for each."""
    made = roles(here.namespace)
    await here.kubectl.apply(*made)
    for role in made:
        name = role["metadata"]["name"]
        await here.kubectl("create", "serviceaccount", name)
        account = f"--serviceaccount={here.namespace}:{name}"
        await here.kubectl("create", "rolebinding", name, f"--role={name}", account)


async def test_the_roles_of_the_page_give_what_it_says(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with installed(control_plane, namespace, tmp_path) as here:
        await bind(here)

        async def said(who: str, *arguments: str, given: str | None = None) -> str:
            account = f"--as=system:serviceaccount:{namespace}:voiceagent-{who}"
            return await here.kubectl(*arguments, account, given=given, check=False)

        async def created() -> bool:
            manifest = yaml.safe_dump(agent("clinic"))
            return "created" in await said("writer", "create", "--filename=-", given=manifest)

        await eventually(created)
        patch = ("patch", "vagent", "clinic", "--type=merge", '--patch={"spec":{"image":{"pullPolicy":"Always"}}}')
        scale = ("scale", "vagent/clinic", "--replicas=3")
        assert "patched" in await said("writer", *patch)
        assert FORBIDDEN in await said("writer", "get", "secret", "twilio"), "directly, it may not"
        assert FORBIDDEN in await said("scaler", *patch)
        assert "scaled" in await said("scaler", *scale)
        assert (await here.get("vagent", "clinic"))["spec"]["scaling"]["replicas"] == 3
        assert "clinic" in await said("reader", "get", "vagent")
        for arguments in (patch, scale, ("delete", "vagent", "clinic")):
            assert FORBIDDEN in await said("reader", *arguments)


async def test_a_voice_agent_runs_any_image_with_any_secret_as_any_account_of_its_namespace(
    control_plane: ControlPlane, namespace: str, tmp_path: Path
) -> None:
    async with installed(control_plane, namespace, tmp_path) as here:
        await here.kubectl("create", "secret", "generic", "payroll", "--from-literal=password=theirs")
        await here.kubectl("create", "serviceaccount", "payroll")
        await here.operate()
        whisper = {
            "url": "http://anywhere.example",
            "model": "m",
            "apiKeySecretRef": {"name": "payroll", "key": "password"},
        }
        note = {"example.com/configuration": "anything"}
        await here.create(
            "payroll",
            twilio={"publicBaseUrl": "https://voice.example.test", "validateSignatures": False},
            image={"repository": "anywhere.example/anything", "tag": "1"},
            recognition={"whisper": whisper},
            exposure={"ingress": {"annotations": note}},
        )
        await eventually(lambda: here.has_children("payroll"))
        pod = (await here.get("deployment", "payroll"))["spec"]["template"]["spec"]

        assert pod["serviceAccountName"] == "payroll"
        assert pod["containers"][0]["image"] == "anywhere.example/anything:1"
        variables = {each["name"]: each for each in pod["containers"][0]["env"]}
        assert variables["WHISPER_API_KEY"]["valueFrom"]["secretKeyRef"] == {"name": "payroll", "key": "password"}
        ingress = await here.get("ingress", "payroll")
        assert note.items() <= ingress["metadata"]["annotations"].items()
